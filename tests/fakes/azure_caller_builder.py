"""Add Azure resources that call flows, with a method for each kind of caller."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial

from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at, text_at
from shared.domain.keys.key import KeyVault, RoleAssignment
from shared.ports import KeyValue, SiteFile
from tests.fakes import definition_builder as define
from tests.fakes.app_configuration import read_key_value
from tests.fakes.container_secrets import read_secret_in_use
from tests.fakes.definition_builder import Json
from tests.fakes.definitions import parse_facts
from tests.fakes.flow_builder import SUBSCRIPTION, FlowBuilder
from tests.fakes.named_values import read_named_value
from tests.fakes.site_references import read_setting
from tests.fakes.tenant import FakeFlow, FakeSecret, FakeSite
from tests.fakes.traffic import UrlHolder

_API_MANAGEMENT = "Microsoft.ApiManagement/service"

#: Key Vault Secrets User.
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"


class AzureCallerBuilder(FlowBuilder):
    def add_app_setting_caller(
        self, flow: FakeFlow, *, site: str = "orders-api", setting: str = "FLOW_URL"
    ) -> FakeSite:
        fake = self._find_or_add_site(site)
        fake.settings[setting] = self.get_trigger_url(flow)
        read = partial(read_setting, self.world, fake, setting)
        self.add_system(UrlHolder(name=f"{site}/{setting}", read=read))
        return fake

    def add_url_vault(self, *readers: FakeSite | str, name: str = "kv-urls") -> str:
        """Add a vault for secrets with URLs, and return its URL. The `readers` get the right to
        read its secrets.
        """
        vault = KeyVault(
            id=f"{SUBSCRIPTION}/providers/microsoft.keyvault/vaults/{name}".lower(),
            url=f"https://{name}.vault.azure.net",
            soft_delete=True,
            purge_protection=True,
            uses_rbac=True,
            key_permissions={},
            public_access="Enabled",
            default_action="Allow",
            lets_trusted_services_in=True,
        )
        self.world.vaults[vault.id] = vault
        for reader in readers:
            if isinstance(reader, FakeSite):
                principal_id = reader.principal_id = f"identity of {reader.name}"
            else:
                principal_id = f"identity of {reader.rpartition('/')[2]}"
                identity = {"type": "SystemAssigned", "principalId": principal_id}
                resource = self.world.resources[reader.lower()]
                self.world.resources[reader.lower()] = {**resource, "identity": identity}
            role = RoleAssignment(role_id=SECRETS_USER, scope=vault.id, is_conditional=False)
            self.world.roles[vault.id, principal_id] = [role]
        return vault.url

    def add_connection_string_caller(
        self, flow: FakeFlow, *, site: str = "portal-api", name: str = "Custom|Flow"
    ) -> FakeSite:
        fake = self._find_or_add_site(site)
        fake.connection_strings[name] = self.get_trigger_url(flow)
        read = partial(read_setting, self.world, fake, name)
        self.add_system(UrlHolder(name=f"{site}/{name}", read=read))
        return fake

    def add_workflow_file_caller(
        self, *flows: FakeFlow, site: str = "hub", path: str = "call/workflow.json"
    ) -> tuple[str, str]:
        """Add a workflow file, which calls each flow, to a Logic App (Standard).

        Return the app's id and the file's path.
        """
        fake = self._find_or_add_site(site)
        fake.is_workflow_app = True
        place, calls = (fake.id, path), [{"uri": self.get_trigger_url(flow)} for flow in flows]
        self.world.site_files[place] = SiteFile(text=json.dumps(calls, indent=2), etag="1")
        for number, _ in enumerate(flows):
            read = partial(
                lambda number: json.loads(self.world.site_files[place].text)[number]["uri"], number
            )
            self.add_system(UrlHolder(name=f"{site}/{path}/{number}", read=read))
        return place

    def add_key_value_caller(self, *flows: FakeFlow, key: str = "Flow:Urls") -> None:
        """Add a key-value of App Configuration with one URL in each line, and a system that calls
        each URL.
        """
        place = ("https://contoso.azconfig.io", key, "production")
        self.world.key_values[place] = KeyValue(
            store_url=place[0],
            key=key,
            label=place[2],
            value="\n".join(map(self.get_trigger_url, flows)),
            etag="1",
            content_type="text/plain",
            tags={"team": "integration"},
            is_locked=False,
        )
        for number, _ in enumerate(flows):
            read = partial(lambda line: read_key_value(self.world, place).split()[line], number)
            self.add_system(UrlHolder(name=f"key {key}/{number}", read=read))

    def add_api_management_caller(self, path: str, properties: Json, read: str, flows: int) -> str:
        """Add a resource with the URLs of the flows, and a system that calls each URL.

        The property `read` of the resource contains the URLs in order. Returns the resource id.
        """
        service = f"{SUBSCRIPTION}/providers/{_API_MANAGEMENT}/contoso"
        names = path.split("/")
        for end in range(0, len(names) + 1, 2):
            identity = "/".join([service, *names[:end]])
            document = {
                "id": identity,
                "name": identity.rpartition("/")[2],
                "type": "/".join([_API_MANAGEMENT, *names[:end:2]]),
                "properties": properties if end == len(names) else {},
            }
            self.world.resources.setdefault(identity.lower(), document)

        def read_url(line: int) -> str:
            found = as_mapping(self.world.resources[identity.lower()]["properties"])
            text = text_at(found, read) or ""
            if "/namedValues/" in identity:
                text = read_named_value(self.world, identity.lower())
            urls = re.findall(r"https://[^\s<\"]+", text)
            return html.unescape(urls[line])

        for number in range(flows):
            self.add_system(UrlHolder(name=f"{path}/{number}", read=partial(read_url, number)))
        return identity

    def add_backend_caller(self, *flows: FakeFlow) -> list[str]:
        """Add a backend of API Management for each flow. Return the resource ids."""
        return [
            self.add_api_management_caller(
                f"backends/crm{number}",
                {"url": self.get_trigger_url(flow), "protocol": "http"},
                "url",
                1,
            )
            for number, flow in enumerate(flows)
        ]

    def add_named_value_caller(self, *flows: FakeFlow, name: str = "flow-urls") -> str:
        """Add a secret named value with the URLs of the flows. Return its resource id."""
        value = "\n".join(map(self.get_trigger_url, flows))
        properties = {"displayName": name, "secret": True, "tags": ["x"], "value": value}
        return self.add_api_management_caller(
            f"namedValues/{name}", properties, "value", len(flows)
        )

    def add_policy_caller(self, *flows: FakeFlow, api: str = "sales") -> str:
        """Add to an API a policy that calls each flow. Return the policy's resource id."""
        requests = "".join(
            f"<send-request><set-url>{html.escape(self.get_trigger_url(flow))}</set-url></send-request>"
            for flow in flows
        )
        value = f"<policies>\r\n  <inbound>{requests}</inbound>\r\n</policies>"
        properties = {"format": "rawxml", "value": value}
        path = f"apis/{api}/policies/policy"
        return self.add_api_management_caller(path, properties, "value", len(flows))

    def add_automation_caller(
        self, *flows: FakeFlow, name: str = "FlowUrls", is_encrypted: bool = False
    ) -> str:
        """Add an Automation variable with the URLs as a JSON list. Return its resource id."""
        value = json.dumps([self.get_trigger_url(flow) for flow in flows])
        path = self._add_automation(
            f"variables/{name}", {"value": value, "isEncrypted": is_encrypted, "description": "x"}
        )

        def read(number: int) -> str:
            properties = as_mapping(self.world.resources[path.lower()]["properties"])
            url: str = json.loads(text_at(properties, "value") or "")[number]
            return url

        for number, _ in enumerate(flows):
            self.add_system(UrlHolder(name=f"{name}/{number}", read=partial(read, number)))
        return path

    def add_runbook(self, text: str, *, name: str = "notify", state: str = "Published") -> str:
        """Add a runbook with this text. Return its resource id.

        A runbook in the state `New` has no published text.
        """
        path = self._add_automation(f"runbooks/{name}", {"state": state})
        if state != "New":
            self.world.resources[f"{path}/content".lower()] = {"text": text}
        return path

    def _add_automation(self, path: str, properties: Json) -> str:
        kind = "Microsoft.Automation/automationAccounts"
        account = f"{SUBSCRIPTION}/providers/{kind}/contoso"
        for identity, given in ((account, {}), (f"{account}/{path}", properties)):
            below = "/variables" if "/variables/" in identity else ""
            self.world.resources[identity.lower()] = {
                "id": identity,
                "name": identity.rpartition("/")[2],
                "type": f"{kind}{below}" if identity != account else kind,
                "properties": given,
            }
        return f"{account}/{path}"

    def add_synapse_caller(self, *flows: FakeFlow, name: str = "nightly") -> str:
        """Add a Synapse pipeline with a web activity for each flow. Return its resource id."""
        path = self.add_synapse_part(f"pipelines/{name}", self._build_pipeline_properties(flows))
        self._add_activity_systems(path, len(flows))
        return path

    def add_synapse_part(
        self, path: str, properties: Json, *, repository: Mapping[str, object] | None = None
    ) -> str:
        """Add a part of a Synapse workspace, such as `datasets/crm`. Return its resource id."""
        settings = {"workspaceRepositoryConfiguration": repository} if repository else {}
        return self._add_part("Microsoft.Synapse/workspaces", settings, path, properties)

    def _build_pipeline_properties(self, flows: Sequence[FakeFlow]) -> Json:
        activities = [
            {
                "type": "WebActivity",
                "name": f"Call {n}",
                "typeProperties": {"url": self.get_trigger_url(one)},
            }
            for n, one in enumerate(flows)
        ]
        return {"activities": activities}

    def _add_activity_systems(self, path: str, count: int) -> None:
        for number in range(count):
            read = partial(self._read_activity, path.lower(), number)
            self.add_system(UrlHolder(name=f"{path}/{number}", read=read))

    def _add_part(self, kind: str, settings: Json, path: str, properties: Json) -> str:
        owner = f"{SUBSCRIPTION}/providers/{kind}/contoso"
        collection, _, name = path.partition("/")
        self.world.resources[owner.lower()] = {
            "id": owner,
            "name": "contoso",
            "type": kind,
            "properties": settings,
        }
        self.world.resources[f"{owner}/{path}".lower()] = {
            "id": f"{owner}/{path}",
            "name": name,
            "type": f"{kind}/{collection}",
            "etag": "W/0",
            "properties": properties,
        }
        return f"{owner}/{path}"

    def _read_activity(self, path: str, number: int) -> str:
        properties = as_mapping(self.world.resources[path]["properties"])
        activity = objects_at(properties, "activities")[number]
        return text_at(mapping_at(activity, "typeProperties"), "url") or ""

    def add_data_factory_caller(self, *flows: FakeFlow, name: str = "nightly") -> str:
        """Add a data factory pipeline with a web activity for each flow. Return its resource id."""
        path = self.add_factory_part(f"pipelines/{name}", self._build_pipeline_properties(flows))
        self._add_activity_systems(path, len(flows))
        return path

    def add_factory_part(
        self, path: str, properties: Json, *, repository: Mapping[str, object] | None = None
    ) -> str:
        """Add a part of a data factory, such as `datasets/crm`. Return its resource id."""
        settings = {"repoConfiguration": repository} if repository else {}
        return self._add_part("Microsoft.DataFactory/factories", settings, path, properties)

    def add_action_group_caller(self, *flows: FakeFlow, name: str = "on-call") -> str:
        """Add an action group with a webhook for each flow. Return its resource id."""
        path = f"{SUBSCRIPTION}/providers/Microsoft.Insights/actionGroups/{name}"
        self.world.resources[path.lower()] = {
            "id": path,
            "name": name,
            "type": "Microsoft.Insights/actionGroups",
            "location": "Global",
            "properties": {
                "groupShortName": name,
                "enabled": True,
                "webhookReceivers": [
                    {"name": f"flow{number}", "serviceUri": self.get_trigger_url(flow)}
                    for number, flow in enumerate(flows)
                ],
            },
        }
        for number, _ in enumerate(flows):
            read = partial(self._read_webhook, path.lower(), number)
            self.add_system(UrlHolder(name=f"{name}/{number}", read=read))
        return path

    def _read_webhook(self, path: str, number: int) -> str:
        properties = as_mapping(self.world.resources[path]["properties"])
        return text_at(objects_at(properties, "webhookReceivers")[number], "serviceUri") or ""

    def add_container_app_caller(self, *flows: FakeFlow, name: str = "till") -> str:
        """Add a container app whose URLs are alternately in secrets and in environment variables.
        Return its resource id.
        """
        path = f"{SUBSCRIPTION}/providers/Microsoft.App/containerApps/{name}"
        held = {f"url{number}": self.get_trigger_url(flow) for number, flow in enumerate(flows)}
        secrets = [{"name": key, "value": url} for key, url in [*held.items()][::2]]
        variables = [{"name": key, "value": url} for key, url in [*held.items()][1::2]]
        references = [{"name": one["name"], "secretRef": one["name"]} for one in secrets]
        container = {"name": "web", "image": "web:1", "env": [*references, *variables]}
        self.world.resources[path.lower()] = {
            "id": path,
            "name": name,
            "type": "Microsoft.App/containerApps",
            "location": "westeurope",
            "tags": {"team": "integration"},
            "properties": {
                "provisioningState": "Succeeded",
                "configuration": {"activeRevisionsMode": "Single", "secrets": secrets},
                "template": {"containers": [container]},
            },
        }
        revision = f"{path}/revisions/{name}--1"
        self.world.resources[revision.lower()] = {
            "id": revision,
            "name": f"{name}--1",
            "properties": {"active": True},
        }
        self.world.secrets_in_use[path.lower()] = {one["name"]: one["value"] for one in secrets}
        for key in held:
            read = partial(self._read_container_variable, path.lower(), key)
            self.add_system(UrlHolder(name=f"{name}/{key}", read=read))
        return path

    def _read_container_variable(self, path: str, key: str) -> str:
        if text := read_secret_in_use(self.world, path, key):
            return text
        [container] = objects_at(
            mapping_at(self.world.resources[path], "properties", "template"), "containers"
        )
        [variable] = [one for one in objects_at(container, "env") if one["name"] == key]
        return text_at(variable, "value") or ""

    def add_event_grid_caller(self, *flows: FakeFlow, topic: str = "sales") -> str:
        """Add a topic with an event subscription for each flow.

        All flows of the environment with a trigger URL then answer Event Grid's validation. Return
        the topic's resource id.
        """
        for one in self.environment.flows.values():
            if parse_facts(one.client_data).has_callback_url:
                one.client_data = define.add_action(
                    one.client_data, "Validate", define.build_validation_action()
                )
        path = f"{SUBSCRIPTION}/providers/Microsoft.EventGrid/topics/{topic}"
        self.world.resources[path.lower()] = {
            "id": path,
            "name": topic,
            "type": "Microsoft.EventGrid/topics",
        }
        for number, flow in enumerate(flows):
            subscription = f"{path}/eventSubscriptions/flow{number}"
            webhook = {"endpointUrl": self.get_trigger_url(flow), "maxEventsPerBatch": 1}
            self.world.resources[subscription.lower()] = {
                "id": subscription,
                "name": f"flow{number}",
                "type": "Microsoft.EventGrid/topics/eventSubscriptions",
                "properties": {
                    "provisioningState": "Succeeded",
                    "filter": {"subjectBeginsWith": "sales"},
                    "destination": {"endpointType": "WebHook", "properties": webhook},
                },
            }
            read = partial(self._read_endpoint, subscription.lower())
            self.add_system(UrlHolder(name=f"{topic}/flow{number}", read=read))
        return path

    def _read_endpoint(self, path: str) -> str:
        subscription = self.world.resources[path]
        webhook = mapping_at(subscription, "properties", "destination", "properties")
        return text_at(webhook, "endpointUrl") or ""

    def add_logic_app_caller(self, *flows: FakeFlow, name: str = "hub") -> str:
        """Add a logic app with a parameter and an action for each flow. Return its resource id."""
        path = f"{SUBSCRIPTION}/providers/Microsoft.Logic/workflows/{name}"
        parameters = {f"url{number}": flow for number, flow in enumerate(flows)}
        self.world.resources[path.lower()] = {
            "id": path,
            "name": name,
            "type": "Microsoft.Logic/workflows",
            "location": "westeurope",
            "tags": {"team": "integration"},
            "properties": {
                "state": "Enabled",
                "parameters": {
                    key: {"value": self.get_trigger_url(flow)} for key, flow in parameters.items()
                },
                "definition": {
                    "parameters": {key: {"type": "String"} for key in parameters},
                    "actions": {
                        f"Call {key}": {
                            "type": "Http",
                            "inputs": {"uri": f"@parameters('{key}')", "method": "POST"},
                        }
                        for key in parameters
                    },
                },
            },
        }
        for key in parameters:
            read = partial(self._read_logic_app_parameter, path.lower(), key)
            self.add_system(UrlHolder(name=f"{name}/{key}", read=read))
        return path

    def _read_logic_app_parameter(self, path: str, key: str) -> str:
        properties = as_mapping(self.world.resources[path]["properties"])
        return text_at(mapping_at(properties, "parameters", key), "value") or ""

    def _find_or_add_site(self, name: str) -> FakeSite:
        site_id = f"{SUBSCRIPTION}/providers/Microsoft.Web/sites/{name}".lower()
        return self.world.sites.setdefault(
            site_id, FakeSite(id=site_id, name=name, hosts=(f"{name}.azurewebsites.net",))
        )

    def add_secret_caller(
        self, *flows: FakeFlow, name: str = "flow-url", beside: str = ""
    ) -> FakeSecret:
        """Add a Key Vault secret with the URLs, and a system that calls each URL.

        `beside` is text before the URLs in the secret.
        """
        vault_url = "https://contoso-app.vault.azure.net/"
        secret = FakeSecret(
            vault_url=vault_url,
            name=name,
            versions=[
                self.world.create_secret_version(
                    beside + "\n".join(map(self.get_trigger_url, flows))
                )
            ],
            content_type="text/uri",
            tags={"team": "integration"},
        )
        self.world.secrets[(vault_url, name)] = secret
        url = re.compile("https:.*")
        for number, _ in enumerate(flows):
            read = partial(lambda line: url.findall(secret.value)[line], number)
            self.add_system(UrlHolder(name=f"secret {name}/{number}", read=read))
        return secret

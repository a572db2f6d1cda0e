"""Build realistic tenants in a few lines, with flows and callers of every kind."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.callers.secret_caller import parse_secret_id
from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at, text_at
from shared.domain.environment import PolicyLink, PolicyLinkStatus
from shared.domain.keys.key import KeyVault, RoleAssignment
from shared.domain.sharing import TEAMS, USERS, DataversePrincipal, rights_of
from shared.ports import JsonService, KeyValue, SiteFile
from tests.fakes import definition_builder as define
from tests.fakes.container_secrets import read_secret_in_use
from tests.fakes.definition_builder import Json
from tests.fakes.definitions import facts_of, properties_of
from tests.fakes.flow_service import move_under_key, stays_on_microsoft_key, trigger_url, turn_on
from tests.fakes.named_values import read_named_value
from tests.fakes.site_references import read_setting
from tests.fakes.sound_key import put_sound_key
from tests.fakes.tenant import (
    FakeConnection,
    FakeEnvironment,
    FakeFlow,
    FakeRow,
    FakeSecret,
    FakeSite,
    FakeSolution,
    FakeTeam,
    FakeUser,
    FakeVariable,
)
from tests.fakes.test_world import World
from tests.fakes.traffic import FlowStarter, UrlHolder

_API_MANAGEMENT = "Microsoft.ApiManagement/service"
_SUBSCRIPTION = "/subscriptions/5f9b3c1e-0000-4000-8000-000000000001/resourceGroups/rg"


_SITE_SETTING = {"name": "Flow/Urls", "powerpagecomponenttype": 9, "ismanaged": False}
_WEBHOOK = {"isauthvalueset": False, "ismanaged": False}

#: Key Vault Secrets User.
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"


def describe_connector(url: str) -> str:
    """Return the definition of a custom connector (OpenAPI 2.0) with one operation, which calls a
    trigger URL.
    """
    parts = urlsplit(url)
    start, _, end = parts.path.rpartition("/")
    parameters = [
        {"name": name, "in": "query", "type": "string", "default": value}
        for name, value in parse_qsl(parts.query)
    ]
    operation = {"operationId": "Order", "parameters": parameters}
    paths = {f"/{end}": {"post": operation}}
    return json.dumps({"swagger": "2.0", "host": parts.netloc, "basePath": start, "paths": paths})


class Builder:
    """Adds items to one environment of a world; flows are on and in a solution by default."""

    def __init__(
        self, world: World, *, name: str = "Contoso", environment: FakeEnvironment | None = None
    ) -> None:
        """Build in `environment`, or in a new one without a policy."""
        self.world = world
        self.environment = environment or self._add_environment(name)
        self.owner = world.add_user(f"{name} maker")

    # --- flows -------------------------------------------------------------------------------

    def flow(
        self,
        name: str,
        trigger: Json,
        actions: Mapping[str, Json] | None = None,
        *,
        is_on: bool = True,
        in_solution: bool = True,
        owner: FakeUser | None = None,
        connections: Mapping[str, str] | None = None,
    ) -> FakeFlow:
        """Add a flow; its owner turns it on. `connections` maps connections to connectors."""
        world, environment = self.world, self.environment
        workflow_id = world.guid()
        owner = owner or self.owner
        for connection, connector in (connections or {}).items():
            self.connection(connection, connector, owner=owner)
        text = define.client_data(workflow_id, trigger, actions or {}, connections=connections)
        properties_of(text)  # a definition that cannot be read shows here, not later
        flow = world.add_flow(
            FakeFlow(
                environment_id=environment.id,
                workflow_id=workflow_id,
                flow_name=world.guid() if in_solution else workflow_id,
                name=name,
                client_data=text,
                owner_id=owner.user_id,
                trigger_url_id=world.hex_id(),
                access_key=world.random.randbytes(32),
                created=world.clock.now(),
                in_solution=in_solution,
            )
        )
        if is_on:
            turn_on(world, flow, owner)
        return flow

    def http_flow(self, name: str, actions: Mapping[str, Json] | None = None) -> FakeFlow:
        """Add a flow that callers start by URL."""
        return self.flow(name, define.http_trigger(), actions)

    def off_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow that was never on."""
        return self.flow(name, define.http_trigger(), is_on=False)

    def mail_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow outside solutions that sends mail over its own embedded connection."""
        return self.flow(
            name,
            define.http_trigger(),
            {"Send": define.connector_action("shared_office365", "SendEmailV2")},
            connections={f"shared-office365-{self.world.hex_id()[:8]}": "shared_office365"},
            in_solution=False,
        )

    def teams_flow(self, name: str) -> FakeFlow:
        """Add a Teams webhook flow, called by URL."""
        trigger = define.request_trigger("TeamsWebhook", triggerAuthenticationType="All")
        return self.flow(name, trigger)

    def power_apps_v1_flow(self, name: str, *, in_solution: bool = False) -> FakeFlow:
        """Add a flow of the first Power Apps trigger."""
        return self.flow(name, define.request_trigger("PowerApp"), in_solution=in_solution)

    def polling_flow(self, name: str, *, posts_to: str = "") -> FakeFlow:
        """Add a flow that polls Teams for new messages.

        `posts_to` is a URL that it calls for each message.
        """
        connection = f"shared-teams-{self.world.hex_id()[:8]}"
        return self.flow(
            name,
            define.connector_trigger("shared_teams", "OnNewChannelMessage"),
            {"Post": define.http_action(posts_to)} if posts_to else None,
            connections={connection: "shared_teams"},
        )

    def keyword_flow(self, name: str) -> FakeFlow:
        """Add a self-starting flow with a Teams keyword, which stays on Microsoft's key."""
        connection = f"shared-teams-{self.world.hex_id()[:8]}"
        return self.flow(
            name,
            define.connector_trigger("shared_teams", "WebhookKeywordTrigger", is_webhook=True),
            connections={connection: "shared_teams"},
        )

    def admin_list_flow(self, name: str) -> FakeFlow:
        """Add a recurrence that uses *List flows as Admin (V1)*."""
        connection = f"shared-flowmanagement-{self.world.hex_id()[:8]}"
        return self.flow(
            name,
            define.recurrence_trigger("Day"),
            {"List": define.connector_action("shared_flowmanagement", "ListFlowsInEnvironment")},
            connections={connection: "shared_flowmanagement"},
        )

    def parent(self, name: str, *children: FakeFlow, trigger: Json | None = None) -> FakeFlow:
        """Add a flow that runs others as child flows: a recurrence unless `trigger` is given."""
        actions = {
            f"Run_child_{number}": define.child_flow_action(child.workflow_id)
            for number, child in enumerate(children, start=1)
        }
        return self.flow(name, trigger or define.recurrence_trigger(), actions)

    def family(self, name: str) -> tuple[FakeFlow, FakeFlow, FakeFlow]:
        """Add an HTTP child, an HTTP parent of it, and a recurring grandparent; child first."""
        child = self.http_flow(f"{name} child", {"Answer": define.response_action()})
        parent = self.parent(f"{name} parent", child, trigger=define.http_trigger())
        return child, parent, self.parent(f"{name} grandparent", parent)

    # --- whom flows belong to ----------------------------------------------------------------

    def share(self, flow: FakeFlow, holder: FakeUser | FakeTeam, role: str = "CanEdit") -> None:
        """Share a solution flow with the rights of a role."""
        if isinstance(holder, FakeUser):
            principal = DataversePrincipal(table=USERS, id=holder.user_id)
        else:
            principal = DataversePrincipal(table=TEAMS, id=holder.team_id)
        flow.shares[principal] = rights_of(role)

    def solution(
        self, unique_name: str, *flows: FakeFlow, is_managed: bool = False
    ) -> FakeSolution:
        """Add a solution with these flows in it."""
        solution = FakeSolution(
            solution_id=self.world.guid(),
            unique_name=unique_name,
            title=f"{unique_name} title",
            is_managed=is_managed,
            flows={flow.workflow_id for flow in flows},
        )
        self.environment.solutions[solution.solution_id] = solution
        return solution

    def team_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow with a co-owner, a team that may read it, and a solution."""
        flow = self.http_flow(name)
        self.share(flow, self.world.add_user(f"{name} co-owner"))
        self.share(flow, self.world.add_team(f"{name} team"), "CanView")
        self.solution(f"{name}Solution", flow)
        return flow

    # --- callers -----------------------------------------------------------------------------

    def url_of(self, flow: FakeFlow) -> str:
        """Return the trigger URL that callers use."""
        return trigger_url(self.environment, flow)

    def system(self, name: str, url: str) -> UrlHolder:
        """Add an external system with the URL in its code, where the app cannot find it."""
        return self.add_system(UrlHolder(name=name, read=lambda: url))

    def declared_caller(self, flow: FakeFlow, *, secret: str = "", name: str = "Till") -> None:
        """Declare a system; it reads the secret if there is one, and else has the URL in its code.

        `secret` is the identifier of a Key Vault secret that need not exist.
        """
        called = CalledFlow(
            environment_id=self.environment.id, flow_id=flow.workflow_id, new_url_secret=secret
        )
        self.world.declared_callers.append(
            DeclaredCaller(name=name, owner="Alex", contact="alex@contoso.example", flows=(called,))
        )
        url, place = self.url_of(flow), parse_secret_id(secret)

        def read() -> str:
            held = self.world.secrets.get(place)
            return held.value if held else url

        self.add_system(UrlHolder(name=name, read=read))

    def app_setting_caller(
        self, flow: FakeFlow, *, site: str = "orders-api", setting: str = "FLOW_URL"
    ) -> FakeSite:
        """Add an app that reads the URL from a setting and calls it."""
        fake = self._find_or_add_site(site)
        fake.settings[setting] = self.url_of(flow)
        read = partial(read_setting, self.world, fake, setting)
        self.add_system(UrlHolder(name=f"{site}/{setting}", read=read))
        return fake

    def url_vault(self, *readers: FakeSite | str, name: str = "kv-urls") -> str:
        """Add a vault for URL secrets that these apps, or resources by id, may read; return its
        URL.
        """
        vault = KeyVault(
            id=f"{_SUBSCRIPTION}/providers/microsoft.keyvault/vaults/{name}".lower(),
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

    def connection_string_caller(
        self, flow: FakeFlow, *, site: str = "portal-api", name: str = "Custom|Flow"
    ) -> FakeSite:
        """Add an app that reads the URL from a connection string and calls it."""
        fake = self._find_or_add_site(site)
        fake.connection_strings[name] = self.url_of(flow)
        read = partial(read_setting, self.world, fake, name)
        self.add_system(UrlHolder(name=f"{site}/{name}", read=read))
        return fake

    def workflow_file_caller(
        self, *flows: FakeFlow, site: str = "hub", path: str = "call/workflow.json"
    ) -> tuple[str, str]:
        """Let a file of a Logic App (Standard) hold the URL of each flow; return its place."""
        fake = self._find_or_add_site(site)
        fake.is_workflow_app = True
        place, calls = (fake.id, path), [{"uri": self.url_of(flow)} for flow in flows]
        self.world.site_files[place] = SiteFile(text=json.dumps(calls, indent=2), etag="1")
        for number, _ in enumerate(flows):
            read = partial(
                lambda number: json.loads(self.world.site_files[place].text)[number]["uri"], number
            )
            self.add_system(UrlHolder(name=f"{site}/{path}/{number}", read=read))
        return place

    def key_value_caller(self, *flows: FakeFlow, key: str = "Flow:Urls") -> None:
        """Add an app that reads URLs, one per line, from App Configuration before each call."""
        place = ("https://contoso.azconfig.io", key, "production")
        self.world.key_values[place] = KeyValue(
            store_url=place[0],
            key=key,
            label=place[2],
            value="\n".join(map(self.url_of, flows)),
            etag="1",
            content_type="text/plain",
            tags={"team": "integration"},
            is_locked=False,
        )
        for number, _ in enumerate(flows):
            read = partial(lambda line: self.world.key_values[place].value.split()[line], number)
            self.add_system(UrlHolder(name=f"key {key}/{number}", read=read))

    def api_management_caller(self, path: str, properties: Json, read: str, flows: int) -> str:
        """Let a place below an API Management service hold URLs in a property, one in each line,
        for a number of flows; return its resource id.
        """
        service = f"{_SUBSCRIPTION}/providers/{_API_MANAGEMENT}/contoso"
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

    def backend_caller(self, *flows: FakeFlow) -> list[str]:
        """Let a backend of API Management have the URL of each flow; return their resource ids."""
        return [
            self.api_management_caller(
                f"backends/crm{number}", {"url": self.url_of(flow), "protocol": "http"}, "url", 1
            )
            for number, flow in enumerate(flows)
        ]

    def named_value_caller(self, *flows: FakeFlow, name: str = "flow-urls") -> str:
        """Let a secret named value hold the URL of each flow; return its resource id."""
        value = "\n".join(map(self.url_of, flows))
        properties = {"displayName": name, "secret": True, "tags": ["x"], "value": value}
        return self.api_management_caller(f"namedValues/{name}", properties, "value", len(flows))

    def policy_caller(self, *flows: FakeFlow, api: str = "sales") -> str:
        """Let the policy of an API send a request to each flow; return its resource id."""
        requests = "".join(
            f"<send-request><set-url>{html.escape(self.url_of(flow))}</set-url></send-request>"
            for flow in flows
        )
        value = f"<policies>\r\n  <inbound>{requests}</inbound>\r\n</policies>"
        properties = {"format": "rawxml", "value": value}
        path = f"apis/{api}/policies/policy"
        return self.api_management_caller(path, properties, "value", len(flows))

    def automation_caller(
        self, *flows: FakeFlow, name: str = "FlowUrls", is_encrypted: bool = False
    ) -> str:
        """Let a variable of Automation hold the URL of each flow as JSON; return its id."""
        value = json.dumps([self.url_of(flow) for flow in flows])
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
        """Add a runbook of Automation with this published text; return its resource id."""
        path = self._add_automation(f"runbooks/{name}", {"state": state})
        if state != "New":
            self.world.resources[f"{path}/content".lower()] = {"text": text}
        return path

    def _add_automation(self, path: str, properties: Json) -> str:
        kind = "Microsoft.Automation/automationAccounts"
        account = f"{_SUBSCRIPTION}/providers/{kind}/contoso"
        for identity, given in ((account, {}), (f"{account}/{path}", properties)):
            below = "/variables" if "/variables/" in identity else ""
            self.world.resources[identity.lower()] = {
                "id": identity,
                "name": identity.rpartition("/")[2],
                "type": f"{kind}{below}" if identity != account else kind,
                "properties": given,
            }
        return f"{account}/{path}"

    def add_json_document(self, service: JsonService, scope: str, path: str, document: Json) -> str:
        """Add a document of an organization, repository or site of a service; return its path."""
        self.world.json_scopes.setdefault(service.name, set()).add(scope)
        self.world.json_documents.setdefault(service.name, {})[path] = document
        return path

    def synapse_caller(self, *flows: FakeFlow, name: str = "nightly") -> str:
        """Let web activities of a Synapse pipeline call each flow; return its resource id."""
        path = self.add_synapse_part(f"pipelines/{name}", self._call_by_activities(flows))
        self._beat_activities(path, len(flows))
        return path

    def add_synapse_part(
        self, path: str, properties: Json, *, repository: Mapping[str, object] | None = None
    ) -> str:
        """Add a part of a Synapse workspace, such as `datasets/crm`; return its resource id."""
        settings = {"workspaceRepositoryConfiguration": repository} if repository else {}
        return self._add_part("Microsoft.Synapse/workspaces", settings, path, properties)

    def _read_activity(self, path: str, number: int) -> str:
        properties = as_mapping(self.world.resources[path]["properties"])
        activity = objects_at(properties, "activities")[number]
        return text_at(mapping_at(activity, "typeProperties"), "url") or ""

    def data_factory_caller(self, *flows: FakeFlow, name: str = "nightly") -> str:
        """Let web activities of a pipeline call each flow; return its resource id."""
        path = self.add_factory_part(f"pipelines/{name}", self._call_by_activities(flows))
        self._beat_activities(path, len(flows))
        return path

    def _call_by_activities(self, flows: Sequence[FakeFlow]) -> Json:
        """Return the properties of a pipeline with a web activity for each flow."""
        activities = [
            {
                "type": "WebActivity",
                "name": f"Call {n}",
                "typeProperties": {"url": self.url_of(one)},
            }
            for n, one in enumerate(flows)
        ]
        return {"activities": activities}

    def _beat_activities(self, path: str, count: int) -> None:
        for number in range(count):
            read = partial(self._read_activity, path.lower(), number)
            self.add_system(UrlHolder(name=f"{path}/{number}", read=read))

    def add_factory_part(
        self, path: str, properties: Json, *, repository: Mapping[str, object] | None = None
    ) -> str:
        """Add a part of a data factory, such as `datasets/crm`; return its resource id."""
        settings = {"repoConfiguration": repository} if repository else {}
        return self._add_part("Microsoft.DataFactory/factories", settings, path, properties)

    def _add_part(self, kind: str, settings: Json, path: str, properties: Json) -> str:
        owner = f"{_SUBSCRIPTION}/providers/{kind}/contoso"
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

    def action_group_caller(self, *flows: FakeFlow, name: str = "on-call") -> str:
        """Let an action group hold the URL of each flow in a webhook; return its resource id."""
        path = f"{_SUBSCRIPTION}/providers/Microsoft.Insights/actionGroups/{name}"
        self.world.resources[path.lower()] = {
            "id": path,
            "name": name,
            "type": "Microsoft.Insights/actionGroups",
            "location": "Global",
            "properties": {
                "groupShortName": name,
                "enabled": True,
                "webhookReceivers": [
                    {"name": f"flow{number}", "serviceUri": self.url_of(flow)}
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

    def container_app_caller(self, *flows: FakeFlow, name: str = "till") -> str:
        """Let a container app hold the URLs in secrets and environment variables in turn; return
        its resource id.
        """
        path = f"{_SUBSCRIPTION}/providers/Microsoft.App/containerApps/{name}"
        held = {f"url{number}": self.url_of(flow) for number, flow in enumerate(flows)}
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
        """Return a variable as the container reads it: secrets are those of its start."""
        if text := read_secret_in_use(self.world, path, key):
            return text
        [container] = objects_at(
            mapping_at(self.world.resources[path], "properties", "template"), "containers"
        )
        [variable] = [one for one in objects_at(container, "env") if one["name"] == key]
        return text_at(variable, "value") or ""

    def event_grid_caller(self, *flows: FakeFlow, topic: str = "sales") -> str:
        """Let event subscriptions of a topic call flows, and every HTTP flow answer validations;
        return the topic's resource id.
        """
        for one in self.environment.flows.values():
            if facts_of(one.client_data).has_callback_url:
                one.client_data = define.with_action(
                    one.client_data, "Validate", define.validation_action()
                )
        path = f"{_SUBSCRIPTION}/providers/Microsoft.EventGrid/topics/{topic}"
        self.world.resources[path.lower()] = {
            "id": path,
            "name": topic,
            "type": "Microsoft.EventGrid/topics",
        }
        for number, flow in enumerate(flows):
            subscription = f"{path}/eventSubscriptions/flow{number}"
            webhook = {"endpointUrl": self.url_of(flow), "maxEventsPerBatch": 1}
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

    def logic_app_caller(self, *flows: FakeFlow, name: str = "hub") -> str:
        """Let a logic app hold the URL of each flow in a parameter; return its resource id."""
        path = f"{_SUBSCRIPTION}/providers/Microsoft.Logic/workflows/{name}"
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
                    key: {"value": self.url_of(flow)} for key, flow in parameters.items()
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
        site_id = f"{_SUBSCRIPTION}/providers/Microsoft.Web/sites/{name}".lower()
        return self.world.sites.setdefault(
            site_id, FakeSite(id=site_id, name=name, hosts=(f"{name}.azurewebsites.net",))
        )

    def secret_caller(
        self, *flows: FakeFlow, name: str = "flow-url", beside: str = ""
    ) -> FakeSecret:
        """Add a system that reads URLs, one per line, from a secret before each call."""
        vault_url = "https://contoso-app.vault.azure.net/"
        secret = FakeSecret(
            vault_url=vault_url,
            name=name,
            versions=[self.world.secret_version(beside + "\n".join(map(self.url_of, flows)))],
            content_type="text/uri",
            tags={"team": "integration"},
        )
        self.world.secrets[(vault_url, name)] = secret
        url = re.compile("https:.*")
        for number, _ in enumerate(flows):
            read = partial(lambda line: url.findall(secret.value)[line], number)
            self.add_system(UrlHolder(name=f"secret {name}/{number}", read=read))
        return secret

    def flow_caller(self, *flows: FakeFlow, name: str = "Caller") -> FakeFlow:
        """Add a button flow whose HTTP actions hold URLs, and a person who presses the button."""
        return self._button_flow(name, *map(self.url_of, flows))

    def variable_caller(
        self, flow: FakeFlow, *in_default: FakeFlow, schema_name: str = "con_FlowUrl"
    ) -> tuple[FakeVariable, FakeFlow]:
        """Add an environment variable with the URL, and a button flow that posts to it.

        The URLs of other flows stand in its default, which nobody uses.
        """
        variable = FakeVariable(
            definition_id=self.world.guid(),
            schema_name=schema_name,
            value_id=self.world.guid(),
            value=self.url_of(flow),
            default_value=" ".join(map(self.url_of, in_default)) or None,
        )
        self.environment.variables[variable.definition_id] = variable
        expression = define.variable_expression(schema_name)
        return variable, self._button_flow(f"Reads {schema_name}", expression)

    def webhook_caller(self, *flows: FakeFlow, **values: object) -> list[FakeRow]:
        """Add a webhook of Dataverse for each flow, which calls it at every beat; return its row.

        `values` are columns of the rows.
        """
        rows = []
        for number, flow in enumerate(flows):
            given = {"name": f"Webhook {number}", "url": self.url_of(flow)}
            rows.append(self.add_row("serviceendpoints", {**_WEBHOOK, **given, **values}))
            read = partial(lambda row: str(row.values["url"]), rows[-1])
            self.add_system(UrlHolder(name=f"webhook {number}", read=read))
        return rows

    def site_setting_caller(self, *flows: FakeFlow, **values: object) -> FakeRow:
        """Add a setting of a Power Pages site with the URL of each flow; return its row.

        `values` are columns of the row.
        """
        text = json.dumps({"value": " ".join(map(self.url_of, flows)), "source": 0}, indent=2)
        given = {"content": text, "powerpagesiteid": {"name": "Contoso"}}
        row = self.add_row("powerpagecomponents", {**_SITE_SETTING, **given, **values})

        def read(number: int) -> str:
            url: str = json.loads(str(row.values["content"]))["value"].split()[number]
            return url

        for number, _ in enumerate(flows):
            self.add_system(UrlHolder(name=f"site setting/{number}", read=partial(read, number)))
        return row

    def add_agent_topic(
        self, *flows: FakeFlow, text: str = "", name: str = "Booking", published: str = ""
    ) -> FakeRow:
        """Add a topic of the agent Travel that runs these flows; return its row.

        `text` is more of its YAML. `published` is the time at which the agent was published.
        """
        calls = "".join(
            f"    - kind: InvokeFlowAction\n      flowId: {flow.workflow_id}\n" for flow in flows
        )
        values = {
            "name": name,
            "data": f"kind: AdaptiveDialog\nbeginDialog:\n  actions:\n{calls}{text}",
            "modifiedon": "2026-01-01T00:00:00Z",
            "parentbotid": {"name": "Travel", "publishedon": published or None},
        }
        return self.add_row("botcomponents", values)

    def connector_caller(self, *flows: FakeFlow, **values: object) -> list[FakeRow]:
        """Add a custom connector that calls each flow; return their rows.

        `values` are columns of the rows.
        """
        rows = []
        for number, flow in enumerate(flows):
            text = describe_connector(self.url_of(flow))
            given = {"name": f"contoso_orders{number}", "openapidefinition": text}
            rows.append(self.add_row("connectors", given | values))
            self.add_system(UrlHolder(name=f"connector/{number}", read=partial(self.url_of, flow)))
        return rows

    def add_row(self, table: str, values: Mapping[str, object]) -> FakeRow:
        """Add a row to a table of Dataverse and return it."""
        row = FakeRow(id=self.world.guid(), values=dict(values))
        self.environment.rows.setdefault(table, {})[row.id] = row
        return row

    def starter(self, flow: FakeFlow) -> FlowStarter:
        """Add a person who starts a flow by its id at every beat of the traffic."""
        starter = FlowStarter(
            name=f"starter of {flow.name}",
            environment_id=flow.environment_id,
            workflow_id=flow.workflow_id,
        )
        self.world.traffic.systems.append(starter)
        return starter

    # --- connections, policy, migration ------------------------------------------------------

    def connection(self, name: str, connector: str, *, owner: FakeUser) -> FakeConnection:
        """Add a connection, or return the one of that name."""
        return self.environment.connections.setdefault(
            name, FakeConnection(name=name, connector=connector, owner_id=owner.user_id)
        )

    def share_connections(self) -> None:
        """Share every connection of the environment with the app, as the app's fix says."""
        for connection in self.environment.connections.values():
            connection.shared_with.add(self.world.application.user_id)

    def link(self, *, name: str = "cmk-eu", migrated: bool = True) -> PolicyLink:
        """Apply a customer-managed key; with `migrated=False` the migration of flows continues."""
        policy_id = f"{_SUBSCRIPTION}/providers/microsoft.powerplatform/enterprisepolicies/{name}"
        system_id = self.world.guid()
        link = PolicyLink(
            policy_id=policy_id.lower(),
            system_id=f"/regions/europe/providers/Microsoft.PowerPlatform/enterprisePolicies/{system_id}",
            status=PolicyLinkStatus.LINKED,
        )
        put_sound_key(self.world, link.policy_id, link.system_id)
        self.environment.policy = link
        self.environment.is_migrating = True
        if migrated:
            self.migrate()
        return link

    def unlink(self) -> None:
        """Begin to remove the environment's policy."""
        if self.environment.policy:
            self.environment.policy = replace(
                self.environment.policy, status=PolicyLinkStatus.UNLINKING
            )

    def migrate(self, *, at_most: int | None = None) -> None:
        """Move flows under the key, `at_most` of them; migration ends with the last one."""
        movable = [
            flow
            for flow in self.environment.live_flows()
            if not flow.is_protected and not stays_on_microsoft_key(self.environment, flow)
        ]
        for flow in movable[:at_most]:
            move_under_key(self.world, flow)
        self.environment.is_migrating = at_most is not None and len(movable) > at_most

    def _button_flow(self, name: str, *uris: str) -> FakeFlow:
        actions = {f"Post_to_flow_{one}": define.http_action(uri) for one, uri in enumerate(uris)}
        flow = self.flow(name, define.request_trigger("Button"), actions)
        self.starter(flow)
        return flow

    def add_system(self, system: UrlHolder) -> UrlHolder:
        """Let a system call the URL that it holds at each beat; return it."""
        self.world.traffic.systems.append(system)
        return system

    def _add_environment(self, name: str) -> FakeEnvironment:
        environment = FakeEnvironment(
            id=self.world.guid(),
            display_name=name,
            dataverse_url=f"https://{name.lower().replace(' ', '')}.api.crm4.dynamics.com",
        )
        self.world.environments[environment.id] = environment
        return environment

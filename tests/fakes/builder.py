"""Build tenants of fakes in a few lines, with flows and callers of every kind."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.callers.secret_caller import parse_secret_id
from shared.domain.environment import PolicyLink, PolicyLinkStatus
from shared.ports import JsonService
from tests.fakes import definition_builder as define
from tests.fakes.azure_caller_builder import AzureCallerBuilder
from tests.fakes.definition_builder import Json
from tests.fakes.flow_builder import SUBSCRIPTION
from tests.fakes.flow_service import has_microsoft_key_reason, move_under_key
from tests.fakes.sound_key import put_sound_key
from tests.fakes.tenant import FakeFlow, FakeRow, FakeVariable
from tests.fakes.traffic import UrlHolder

_SITE_SETTING = {"name": "Flow/Urls", "powerpagecomponenttype": 9, "ismanaged": False}
_WEBHOOK = {"isauthvalueset": False, "ismanaged": False}


def describe_connector(url: str) -> str:
    """Return the OpenAPI 2.0 definition of a custom connector whose only operation calls a trigger
    URL.
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


class Builder(AzureCallerBuilder):
    """Adds flows, callers and keys to one environment of a `World`."""

    def add_external_system(self, name: str, url: str) -> UrlHolder:
        """Add a system whose code contains the URL, where the app cannot find it."""
        return self.add_system(UrlHolder(name=name, read=lambda: url))

    def add_declared_caller(self, flow: FakeFlow, *, secret: str = "", name: str = "Till") -> None:
        """Declare a system as a caller.

        It reads the URL from the Key Vault secret `secret`, or has it in its code if the secret
        does not exist.
        """
        called = CalledFlow(
            environment_id=self.environment.id, flow_id=flow.workflow_id, new_url_secret=secret
        )
        self.world.declared_callers.append(
            DeclaredCaller(name=name, owner="Alex", contact="alex@contoso.example", flows=(called,))
        )
        url, place = self.get_trigger_url(flow), parse_secret_id(secret)

        def read() -> str:
            held = self.world.secrets.get(place)
            return held.value if held else url

        self.add_system(UrlHolder(name=name, read=read))

    def add_json_document(self, service: JsonService, scope: str, path: str, document: Json) -> str:
        """Add a document to an organization, repository or site (`scope`) of a service such as
        GitHub. Return its path.
        """
        self.world.json_scopes.setdefault(service.name, set()).add(scope)
        self.world.json_documents.setdefault(service.name, {})[path] = document
        return path

    def add_flow_caller(self, *flows: FakeFlow, name: str = "Caller") -> FakeFlow:
        """Add a button flow whose actions call the flows, and a person who presses the button."""
        return self._add_button_flow(name, *map(self.get_trigger_url, flows))

    def add_variable_caller(
        self, flow: FakeFlow, *in_default: FakeFlow, schema_name: str = "con_FlowUrl"
    ) -> tuple[FakeVariable, FakeFlow]:
        """Add a variable with the flow's URL, and a button flow that posts to it.

        The default value contains the URLs of the flows `in_default`, which nothing calls.
        """
        variable = FakeVariable(
            definition_id=self.world.create_guid(),
            schema_name=schema_name,
            value_id=self.world.create_guid(),
            value=self.get_trigger_url(flow),
            default_value=" ".join(map(self.get_trigger_url, in_default)) or None,
        )
        self.environment.variables[variable.definition_id] = variable
        expression = define.build_variable_expression(schema_name)
        return variable, self._add_button_flow(f"Reads {schema_name}", expression)

    def add_webhook_caller(self, *flows: FakeFlow, **values: object) -> list[FakeRow]:
        """Add a webhook for each flow, which calls it at every beat of the traffic.

        `values` are further columns of the rows.
        """
        rows = []
        for number, flow in enumerate(flows):
            given = {"name": f"Webhook {number}", "url": self.get_trigger_url(flow)}
            rows.append(self.add_row("serviceendpoints", {**_WEBHOOK, **given, **values}))
            read = partial(lambda row: str(row.values["url"]), rows[-1])
            self.add_system(UrlHolder(name=f"webhook {number}", read=read))
        return rows

    def add_site_setting_caller(self, *flows: FakeFlow, **values: object) -> FakeRow:
        """Add a setting of a Power Pages site with the URLs.

        `values` are further columns of the row.
        """
        text = json.dumps(
            {"value": " ".join(map(self.get_trigger_url, flows)), "source": 0}, indent=2
        )
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
        """Add to the Copilot agent Travel a topic that runs these flows.

        `text` is appended to the topic's YAML. `published` is the time at which the agent was
        published.
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

    def add_connector_caller(self, *flows: FakeFlow, **values: object) -> list[FakeRow]:
        """Add a custom connector and a calling system for each flow.

        Return the connectors' rows. `values` are further columns of the rows.
        """
        rows = []
        for number, flow in enumerate(flows):
            text = describe_connector(self.get_trigger_url(flow))
            given = {"name": f"contoso_orders{number}", "openapidefinition": text}
            rows.append(self.add_row("connectors", given | values))
            self.add_system(
                UrlHolder(name=f"connector/{number}", read=partial(self.get_trigger_url, flow))
            )
        return rows

    def add_row(self, table: str, values: Mapping[str, object]) -> FakeRow:
        row = FakeRow(id=self.world.create_guid(), values=dict(values))
        self.environment.rows.setdefault(table, {})[row.id] = row
        return row

    def apply_key(self, *, name: str = "cmk-eu", migrated: bool = True) -> PolicyLink:
        """Apply a customer-managed key to the environment.

        With `migrated=False`, the platform migration of its flows is still in progress.
        """
        policy_id = f"{SUBSCRIPTION}/providers/microsoft.powerplatform/enterprisepolicies/{name}"
        system_id = self.world.create_guid()
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
        """Begin to remove the enterprise policy from the environment."""
        if self.environment.policy:
            self.environment.policy = replace(
                self.environment.policy, status=PolicyLinkStatus.UNLINKING
            )

    def migrate(self, *, at_most: int | None = None) -> None:
        """Move the flows that can migrate to the key, at most `at_most` of them.

        The platform migration ends if none is left.
        """
        movable = [
            flow
            for flow in self.environment.list_live_flows()
            if not flow.is_protected and not has_microsoft_key_reason(self.environment, flow)
        ]
        for flow in movable[:at_most]:
            move_under_key(self.world, flow)
        self.environment.is_migrating = at_most is not None and len(movable) > at_most

    def _add_button_flow(self, name: str, *uris: str) -> FakeFlow:
        actions = {
            f"Post_to_flow_{one}": define.build_http_action(uri) for one, uri in enumerate(uris)
        }
        flow = self.add_flow(name, define.build_request_trigger("Button"), actions)
        self.add_starter(flow)
        return flow

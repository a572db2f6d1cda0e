"""Writes flow definitions as Power Automate's designer saves them.

A flow of the demo names its connectors; the connection references that a solution flow needs are
made from those names.

See platform.md#client-data, #trigger-kinds.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

_NAMESPACE = uuid.UUID("a4f1c3f0-2c7e-5b0b-9d38-7c5b7d1f6a10")
_SCHEMA = (
    "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/"
    "2016-06-01/workflowdefinition.json#"
)
_APIS = "/providers/Microsoft.PowerApps/apis/"


def derive_id(*parts: str) -> str:
    """A GUID that is the same in each run of the demo."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFlow:
    """A flow as its maker would tell of it."""

    #: Short name; its id is derived from it.
    slug: str
    title: str
    trigger: Json
    actions: Mapping[str, Json] = field(default_factory=dict)
    #: Members of the seed's flow that are not the usual ones: `state`, `inSolution`, …
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: Parameters of the definition that read environment variables: parameter → schema name.
    variables: Mapping[str, str] = field(default_factory=dict)

    def to_seed(self, environment: str, owner: str) -> Json:
        """The flow as local_cloud/tenant/README.md describes it."""
        return {
            "workflowEntityId": flow_id(environment, self.slug),
            "displayName": self.title,
            "owner": owner,
            "connectionReferences": {
                connector: {
                    "runtimeSource": "embedded",
                    "connection": {"connectionReferenceLogicalName": reference_name(connector)},
                    "api": {"name": connector},
                }
                for connector in self._list_connectors()
            },
            "definition": self._build_definition(),
            **self.extra,
        }

    def _build_definition(self) -> Json:
        previous: str | None = None
        actions: Json = {}
        for name, action in self.actions.items():
            after = {previous: ["Succeeded"]} if previous else {}
            actions[name] = {"runAfter": after, **action}
            previous = name
        parameters: Json = {
            "$connections": {"defaultValue": {}, "type": "Object"},
            "$authentication": {"defaultValue": {}, "type": "SecureObject"},
        }
        for parameter, schema_name in self.variables.items():
            metadata = {"schemaName": schema_name}
            parameters[parameter] = {"defaultValue": "", "type": "String", "metadata": metadata}
        name = "manual" if self.trigger["type"] == "Request" else self.trigger["type"]
        return {
            "$schema": _SCHEMA,
            "contentVersion": "1.0.0.0",
            "parameters": parameters,
            "triggers": {name: self.trigger},
            "actions": actions,
        }

    def _list_connectors(self) -> list[str]:
        steps = [self.trigger, *self.actions.values()]
        inputs = [step["inputs"] for step in steps if isinstance(step.get("inputs"), dict)]
        hosts = [each.get("host") or {} for each in inputs]
        return sorted({host["connectionName"] for host in hosts if "connectionName" in host})


def flow_id(environment: str, slug: str) -> str:
    """The Dataverse id of a flow of the demo."""
    return derive_id(environment, slug)


def reference_name(connector: str) -> str:
    """Logical name of the connection reference that the demo's flows use for a connector."""
    return f"contoso_{connector}"


def build_url_placeholder(environment: str, slug: str) -> str:
    """What stands in the description for a flow's trigger URL; the tenant fills it in."""
    return f"{{{{trigger_url:{flow_id(environment, slug)}}}}}"


def http(**inputs: object) -> Json:
    """*When an HTTP request is received*, open to anyone with the URL unless `inputs` says not."""
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
    return request("Http", schema=schema, **({"triggerAuthenticationType": "All"} | inputs))


def request(kind: str, **inputs: object) -> Json:
    """A `Request` trigger of a kind."""
    return {"type": "Request", "kind": kind, "inputs": {"schema": {}, **inputs}}


def selected(connector: str, operation: str) -> Json:
    """A trigger that a user picks in another product: a selected message, a selected file."""
    host = _host(connector, operation)
    inputs = {"operationId": operation, "host": host, "parameters": {}, "schema": {}}
    return {"type": "Request", "kind": "ApiConnection", "inputs": inputs}


def recurrence(seconds: int) -> Json:
    """*Recurrence*."""
    return {"type": "Recurrence", "recurrence": {"frequency": "Second", "interval": seconds}}


def polling(connector: str, operation: str) -> Json:
    """A trigger for which the flow service asks a connector at intervals."""
    inputs = {"host": _host(connector, operation), "parameters": {}}
    interval = {"frequency": "Minute", "interval": 3}
    return {"type": "OpenApiConnection", "inputs": inputs, "recurrence": interval}


def subscription(connector: str, operation: str) -> Json:
    """A trigger of which a connector tells."""
    inputs = {"host": _host(connector, operation), "parameters": {}}
    return {"type": "OpenApiConnectionWebhook", "inputs": inputs}


def post(uri: str) -> Json:
    """An *HTTP* action that posts; `uri` is a URL or an expression."""
    body = {"number": "@triggerBody()?['number']"}
    return {"type": "Http", "inputs": {"method": "POST", "uri": uri, "body": body}}


def run_child(environment: str, slug: str) -> Json:
    """*Run a child flow*."""
    host = {"workflowReferenceName": flow_id(environment, slug)}
    return {"type": "Workflow", "inputs": {"host": host, "body": {}}}


def operation(connector: str, name: str) -> Json:
    """An action of a connector."""
    return {"type": "OpenApiConnection", "inputs": {"host": _host(connector, name)}}


def compose(text: str) -> Json:
    """*Compose*: stands for the work that a flow does."""
    return {"type": "Compose", "inputs": text}


def response() -> Json:
    """*Response*: the caller waits for it."""
    return {"type": "Response", "kind": "Http", "inputs": {"statusCode": 200, "body": {"ok": True}}}


def _host(connector: str, operation_id: str) -> Json:
    return {
        "apiId": _APIS + connector,
        "connectionName": connector,
        "operationId": operation_id,
    }

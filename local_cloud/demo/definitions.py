"""Build flow definitions in the format in which Power Automate's designer saves them.

A flow of the demo names its connectors. The connection references that a flow in a solution needs
are built from these names. See platform.md#client-data, #trigger-kinds.
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
    """Return a GUID that is the same in each run of the demo."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFlow:
    """A flow of the demo, and how it is set up in the tenant."""

    #: Short name; its id is derived from it.
    slug: str
    title: str
    trigger: Json
    actions: Mapping[str, Json] = field(default_factory=lambda: WORK)
    #: Members of the seed's flow that are not the usual ones: `state`, `inSolution`, …
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: Parameters of the definition that read environment variables: parameter → schema name.
    variables: Mapping[str, str] = field(default_factory=dict)

    def to_seed(self, environment: str, owner: str) -> Json:
        """Return the flow as an entry of the tenant's seed (local_cloud/tenant/README.md)."""
        return {
            "workflowEntityId": build_flow_id(environment, self.slug),
            "displayName": self.title,
            "owner": owner,
            "connectionReferences": {
                connector: {
                    "runtimeSource": "embedded",
                    "connection": {
                        "connectionReferenceLogicalName": build_reference_name(connector)
                    },
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


def build_flow_id(environment: str, slug: str) -> str:
    """Return the Dataverse id of a demo flow. It is the same in each run of the demo."""
    return derive_id(environment, slug)


def build_reference_name(connector: str) -> str:
    return f"contoso_{connector}"


def build_url_placeholder(environment: str, slug: str) -> str:
    """Return the placeholder that the tenant replaces with the flow's trigger URL."""
    return f"{{{{trigger_url:{build_flow_id(environment, slug)}}}}}"


def build_http_trigger(**inputs: object) -> Json:
    """Return *When an HTTP request is received*, which by default anyone with the URL can call."""
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
    return build_request_trigger(
        "Http", schema=schema, **({"triggerAuthenticationType": "All"} | inputs)
    )


def build_request_trigger(kind: str, **inputs: object) -> Json:
    """Return a `Request` trigger with this kind, such as `Button`."""
    return {"type": "Request", "kind": kind, "inputs": {"schema": {}, **inputs}}


def build_selection_trigger(connector: str, operation: str) -> Json:
    host = _build_host(connector, operation)
    inputs = {"operationId": operation, "host": host, "parameters": {}, "schema": {}}
    return {"type": "Request", "kind": "ApiConnection", "inputs": inputs}


def build_recurrence(seconds: int) -> Json:
    return {"type": "Recurrence", "recurrence": {"frequency": "Second", "interval": seconds}}


def build_polling_trigger(connector: str, operation: str) -> Json:
    inputs = {"host": _build_host(connector, operation), "parameters": {}}
    interval = {"frequency": "Minute", "interval": 3}
    return {"type": "OpenApiConnection", "inputs": inputs, "recurrence": interval}


def build_webhook_trigger(connector: str, operation: str) -> Json:
    inputs = {"host": _build_host(connector, operation), "parameters": {}}
    return {"type": "OpenApiConnectionWebhook", "inputs": inputs}


def build_post_action(uri: str) -> Json:
    body = {"number": "@triggerBody()?['number']"}
    return {"type": "Http", "inputs": {"method": "POST", "uri": uri, "body": body}}


def build_child_flow_action(environment: str, slug: str) -> Json:
    host = {"workflowReferenceName": build_flow_id(environment, slug)}
    return {"type": "Workflow", "inputs": {"host": host, "body": {}}}


def build_connector_action(connector: str, name: str) -> Json:
    return {"type": "OpenApiConnection", "inputs": {"host": _build_host(connector, name)}}


def build_compose_action(text: str) -> Json:
    """Return the action *Compose*, which represents a flow's real work in the demo."""
    return {"type": "Compose", "inputs": text}


#: The actions of a flow of which only the trigger matters.
WORK: Mapping[str, Json] = {"Work": build_compose_action("done")}


def build_response_action() -> Json:
    """Return the action *Response*, which makes the caller wait for the flow's result."""
    return {"type": "Response", "kind": "Http", "inputs": {"statusCode": 200, "body": {"ok": True}}}


def _build_host(connector: str, operation_id: str) -> Json:
    return {
        "apiId": _APIS + connector,
        "connectionName": connector,
        "operationId": operation_id,
    }

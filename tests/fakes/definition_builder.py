"""Build the `clientdata` of flows as Power Automate's designer writes it."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.definitions import LINEAGE

type Json = dict[str, Any]

_SCHEMA = (
    "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/"
    "2016-06-01/workflowdefinition.json#"
)
_APIS = "/providers/Microsoft.PowerApps/apis/"


def build_client_data(
    lineage: str,
    trigger: Json,
    actions: Mapping[str, Json],
    *,
    connections: Mapping[str, str] | None = None,
) -> str:
    """Return the `clientdata` of a flow. `connections` contains the connector of each connection.

    `lineage` identifies the flow and its copies. See platform.md#client-data.
    """
    steps = {
        LINEAGE: {"type": "Compose", "inputs": {"lineage": lineage}, "runAfter": {}},
        **actions,
    }
    previous = LINEAGE
    for name, action in actions.items():
        action["runAfter"] = {previous: ["Succeeded"]}
        previous = name
    references = {
        connector: {
            "runtimeSource": "embedded",
            "connection": {"name": name},
            "api": {"name": connector},
        }
        for name, connector in (connections or {}).items()
    }
    definition = {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": _build_parameters(actions),
        "triggers": {"manual": trigger},
        "actions": steps,
    }
    return json.dumps(
        {
            "properties": {"connectionReferences": references, "definition": definition},
            "schemaVersion": "1.0.0.0",
        }
    )


def build_request_trigger(kind: str, **inputs: object) -> Json:
    """Return a `Request` trigger of a kind (platform.md#trigger-kinds)."""
    return {"type": "Request", "kind": kind, "inputs": {"schema": {}, **inputs}}


def build_http_trigger(*, authentication: str = "All", relative_path: str = "") -> Json:
    """Return the trigger *When an HTTP request is received*."""
    inputs: Json = {"triggerAuthenticationType": authentication}
    if relative_path:
        inputs["relativePath"] = relative_path
    return build_request_trigger("Http", **inputs)


def build_recurrence_trigger(frequency: str = "Hour") -> Json:
    """Return a recurrence trigger without a start time."""
    return {"type": "Recurrence", "recurrence": {"frequency": frequency, "interval": 1}}


def build_connector_trigger(connector: str, operation_id: str, *, is_webhook: bool = False) -> Json:
    """Return a trigger that polls its source, or with `is_webhook` one to which the source sends
    events.
    """
    host = {"apiId": _APIS + connector, "connectionName": connector, "operationId": operation_id}
    trigger: Json = {"type": "OpenApiConnection", "inputs": {"host": host, "parameters": {}}}
    if is_webhook:
        return trigger | {"type": "OpenApiConnectionWebhook"}
    return trigger | {"recurrence": {"frequency": "Minute", "interval": 3}}


def build_http_action(uri: str) -> Json:
    """Return an HTTP action that posts to `uri`, a URL or an expression."""
    return {"type": "Http", "inputs": {"method": "POST", "uri": uri, "body": {"number": 1}}}


def build_child_flow_action(workflow_id: str) -> Json:
    """Return the action *Run a child flow*."""
    return {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": workflow_id}}}


def build_connector_action(connector: str, operation_id: str) -> Json:
    host = {"apiId": _APIS + connector, "connectionName": connector, "operationId": operation_id}
    return {"type": "OpenApiConnection", "inputs": {"host": host, "parameters": {}}}


def build_response_action() -> Json:
    """Return the action *Response*."""
    return {"type": "Response", "kind": "Http", "inputs": {"statusCode": 200, "body": {"ok": True}}}


def build_validation_action() -> Json:
    """Return a *Response* action that answers Event Grid's validation request."""
    code = "@{triggerBody()?[0]?['data']?['validationCode']}"
    inputs = {"statusCode": 200, "body": {"validationResponse": code}}
    return {"type": "Response", "kind": "Http", "inputs": inputs, "runAfter": {}}


def add_action(client_data: str, name: str, action: Json) -> str:
    document = json.loads(client_data)
    document["properties"]["definition"]["actions"][name] = action
    return json.dumps(document)


def build_variable_expression(schema_name: str) -> str:
    """Return the workflow expression that reads an environment variable."""
    return f"@parameters('Address ({schema_name})')"


def _build_parameters(actions: Mapping[str, Json]) -> Json:
    parameters: Json = {
        "$connections": {"defaultValue": {}, "type": "Object"},
        "$authentication": {"defaultValue": {}, "type": "SecureObject"},
    }
    for action in actions.values():
        uri = str(action.get("inputs", {}).get("uri", "")) if action["type"] == "Http" else ""
        if uri.startswith("@parameters('"):
            name = uri.removeprefix("@parameters('").removesuffix("')")
            schema_name = name.rpartition("(")[2].rstrip(")")
            parameters[name] = {
                "defaultValue": "",
                "type": "String",
                "metadata": {"schemaName": schema_name},
            }
    return parameters

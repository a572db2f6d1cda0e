"""Build the JSON in which the flow service returns flows, runs and connections.

See platform.md#flow-lists, #flow-runs.
"""

import json
from typing import Any

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, Run
from local_cloud.tenant.environments.flow_facts import parse_client_data
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.run_contents import build_outputs_link
from local_cloud.tenant.flows.saves import convert_to_runtime_shape
from local_cloud.tenant.flows.trigger_urls import build_callback

PROVIDER = "/providers/Microsoft.ProcessSimple"
_APIS = "/providers/Microsoft.PowerApps/apis"


def build_lean_item(
    tenant: Tenant, environment: SimulatedEnvironment, flow: Flow
) -> dict[str, Any]:
    """Return a flow as an administrator's list shows it: empty summary, no definition."""
    properties: dict[str, Any] = {
        "apiId": f"{_APIS}/shared_logicflows",
        "displayName": flow.display_name,
        "state": flow.state,
        "createdTime": format_time(flow.created),
        "lastModifiedTime": format_time(flow.modified),
        "flowSuspensionReason": flow.suspension_reason,
        "environment": {
            "name": environment.id,
            "type": "Microsoft.ProcessSimple/environments",
            "id": f"{PROVIDER}/environments/{environment.id}",
        },
        "definitionSummary": {"triggers": [], "actions": []},
        "creator": {
            "tenantId": tenant.get_part(Directory).tenant_id,
            "objectId": flow.owner,
            "userId": flow.owner,
            "userType": "ActiveDirectory",
        },
        "flowFailureAlertSubscribed": False,
        "isManaged": flow.is_managed,
    }
    if flow.is_in_solution:
        properties["workflowEntityId"] = flow.workflow_entity_id
    return {
        "name": flow.name,
        "id": f"{PROVIDER}/environments/{environment.id}/flows/{flow.name}",
        "type": "Microsoft.ProcessSimple/environments/flows",
        "properties": properties,
    }


def build_full_body(
    tenant: Tenant, environment: SimulatedEnvironment, flow: Flow
) -> dict[str, Any]:
    body = build_lean_item(tenant, environment, flow)
    saved, facts = flow.parse_properties(), flow.get_facts()
    if tenant.get_part(PowerPlatform).assumptions.flow_service_shows_runtime_shape:
        convert_to_runtime_shape(saved["definition"])
    trigger = {"type": facts.trigger_type} | (
        {"kind": facts.trigger_kind} if facts.trigger_kind else {}
    )
    body["properties"] |= {
        "userType": "Owner",
        "definition": saved["definition"],
        "connectionReferences": {
            key: _build_connection(key, reference)
            for key, reference in (saved.get("connectionReferences") or {}).items()
        },
        "definitionSummary": {
            "triggers": [trigger],
            "actions": [
                {"type": action.get("type")} for action in saved["definition"]["actions"].values()
            ],
            **({"description": flow.description} if flow.description else {}),
        },
        "plan": "NotSpecified",
        "installationStatus": "Installed",
        "provisioningMethod": "FromDefinition",
        "referencedResources": [],
    }
    if facts.trigger_type == "Request":
        # The connector's run endpoint, not the callback URL, as CLI for Microsoft 365 shows.
        compact = flow.name.replace("-", "").upper()
        body["properties"]["flowTriggerUri"] = (
            f"https://{environment.location}-002.azure-apim.net:443/apim/logicflows/{compact}-"
            f"{flow.workflow_id[:16].upper()}/triggers/{facts.trigger_name}/run"
            "?api-version=2016-06-01"
        )
    return body


def build_license_data(tenant: Tenant, flow: Flow) -> dict[str, Any]:
    """Return the licence with which a flow runs, which is that of its owner.

    See platform.md#flow-licence; the names of members are assumed.
    """
    has_premium = tenant.get_part(Directory).has_premium(flow.owner)
    name = {"flowLicenseName": "PowerAutomatePremium"} if has_premium else {}
    mode = "High" if has_premium else "Low"
    return {"performanceProfile": {"throttles": {"mode": mode}}} | name


def _build_connection(key: str, reference: dict[str, Any]) -> dict[str, Any]:
    connection = reference.get("connection") or {}
    api = (reference.get("api") or {}).get("name") or key
    out = {
        "connectionName": connection.get("name") or "",
        "source": str(reference.get("runtimeSource") or "embedded").capitalize(),
        "id": f"{_APIS}/{api}",
        "tier": "NotSpecified",
        "apiName": api.removeprefix("shared_"),
    }
    if logical_name := connection.get("connectionReferenceLogicalName"):
        out["connectionReferenceLogicalName"] = logical_name
    return out


def build_api_definition(reference: dict[str, Any]) -> dict[str, Any]:
    """Return the connector of a connection reference in brief, for `$expand`."""
    return {
        "name": reference["id"].rpartition("/")[2],
        "id": reference["id"],
        "type": _APIS,
        "properties": {"displayName": reference["apiName"], "tier": "NotSpecified"},
    }


def parse_client_data_member(properties: dict[str, Any]) -> str:
    """Return the `clientdata` for a request's `properties`. Rejects (400) invalid ones."""
    references = {}
    for key, reference in (properties.get("connectionReferences") or {}).items():
        connection: dict[str, Any] = {"name": reference.get("connectionName", "")}
        if logical_name := reference.get("connectionReferenceLogicalName"):
            connection["connectionReferenceLogicalName"] = logical_name
        references[key] = {
            "runtimeSource": str(reference.get("source") or "embedded").lower(),
            "connection": connection,
            "api": {"name": str(reference.get("id") or key).rpartition("/")[2]},
        }
    saved = {"connectionReferences": references, "definition": properties.get("definition")}
    text = json.dumps({"properties": saved, "schemaVersion": "1.0.0.0"})
    try:
        parse_client_data(text)
    except ValueError as error:
        raise SimulatedPlatformError(400, "InvalidTemplate", str(error)) from error
    return text


def build_run_body(
    environment: SimulatedEnvironment, flow: Flow, run: Run, tenant: Tenant
) -> dict[str, Any]:
    now = tenant.clock.now()
    status = run.compute_status(now)
    properties: dict[str, Any] = {
        "startTime": format_time(run.started),
        "status": status,
        "correlation": {"clientTrackingId": run.client_tracking_id},
        "isAborted": False,
        "trigger": {
            "name": run.trigger_name,
            "status": "Succeeded",
            "startTime": format_time(run.started),
            "endTime": format_time(run.started),
            "originHistoryName": run.name,
        },
    }
    if flow.get_facts().trigger_type == "Request":
        host = build_callback(environment, flow)["basePath"].partition("/workflows/")[0]
        uri = f"{host}/workflows/{flow.workflow_id}/runs/{run.name}/contents/TriggerInputs"
        properties["trigger"]["inputsLink"] = {"uri": f"{uri}?api-version=2016-06-01"}
        if link := build_outputs_link(host, flow, run, now):
            properties["trigger"]["outputsLink"] = link
    if status != "Running":
        properties |= {"endTime": format_time(run.ends), "code": status}
        if run.error:
            properties["error"] = run.error
    return {
        "name": run.name,
        "id": f"{PROVIDER}/environments/{environment.id}/flows/{flow.name}/runs/{run.name}",
        "type": "Microsoft.ProcessSimple/environments/flows/runs",
        "properties": properties,
    }

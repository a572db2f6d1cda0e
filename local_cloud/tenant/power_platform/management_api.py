"""Serve `api.powerplatform.com`, Microsoft's newer API for environments and flows.

The API is read-only here (platform.md#management-api); writes use the older services.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.core.platform_error import InvalidQueryError, SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.access import find_platform, find_tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, Run, SimulatedFlowState
from local_cloud.tenant.environments.flow_facts import walk_actions
from local_cloud.tenant.environments.migration import apply_ended_operation

HOSTS = ("api.powerplatform.com",)
AUDIENCE = "https://api.powerplatform.com"
OPTIONS = {
    "list_environments": ("$top",),
    "list_cloud_flows": ("workflowId", "resourceId", "ownerId"),
    "list_flow_actions": ("workflowId", "isTrigger", "connector"),
    "list_flow_runs": ("workflowId",),
}
_STATES = {
    SimulatedFlowState.STARTED: ("Published", "Published"),
    SimulatedFlowState.SUSPENDED: ("Suspended", "CompanyDLPViolation"),
}
_PAGE = 50


def build_routes(_: Tenant) -> list[Route]:
    environments = "/environmentmanagement/environments"
    flows = "/powerautomate/environments/{environment}"
    return [
        AnyCaseRoute(environments, list_environments),
        AnyCaseRoute(environments + "/{environment}", get_environment),
        AnyCaseRoute(f"{flows}/cloudFlows", list_cloud_flows),
        AnyCaseRoute(f"{flows}/flowActions", list_flow_actions),
        AnyCaseRoute(f"{flows}/flowRuns", list_flow_runs),
    ]


async def list_environments(request: Request) -> Response:
    _require_admin(request)
    everything = list(find_platform(request).environments.values())
    chosen, next_link = select_page(request, everything, parse_top(request, _PAGE))
    value = [_build_environment_body(request, each) for each in chosen]
    return JSONResponse({"value": value} | ({"@odata.nextLink": next_link} if next_link else {}))


async def get_environment(request: Request) -> Response:
    return JSONResponse(_build_environment_body(request, _require_environment(request)))


async def list_cloud_flows(request: Request) -> Response:
    """Return the flows of an environment that have a row in Dataverse, with columns of the row."""
    environment = _require_environment(request)
    rows = [_build_flow_body(environment, flow) for flow in _list_flows(request, environment)]
    return _answer_list(request, rows)


async def list_flow_actions(request: Request) -> Response:
    """Return the triggers and actions of an environment's flows. Clients find callers in them."""
    environment = _require_environment(request)
    rows = [
        row
        for flow in _list_flows(request, environment)
        for row in _build_action_bodies(environment, flow)
    ]
    return _answer_list(request, rows)


async def list_flow_runs(request: Request) -> Response:
    environment, wanted = _require_environment(request), request.query_params.get("workflowId")
    if not wanted:
        raise InvalidQueryError("The query option 'workflowId' is required.")
    now = find_tenant(request).clock.now()
    rows = [
        _build_run_body(environment, flow, run, now)
        for flow in _list_flows(request, environment)
        if flow.workflow_entity_id == wanted.lower()
        for run in flow.list_kept_runs(now)
    ]
    return _answer_list(request, rows)


def _require_admin(request: Request) -> None:
    caller = require_token(request, AUDIENCE)
    if not request.query_params.get("api-version"):
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise SimulatedPlatformError(400, "MissingApiVersionParameter", message)
    if not find_tenant(request).get_part(Directory).is_admin(caller):
        message = "The caller does not have the permission that the operation requires."
        raise SimulatedPlatformError(403, "UserMissingRequiredPermission", message)


def _require_environment(request: Request) -> SimulatedEnvironment:
    _require_admin(request)
    name = request.path_params["environment"]
    environment = find_platform(request).environments.get(name)
    if environment is None:
        message = f"The environment '{name}' could not be found in the tenant."
        raise SimulatedPlatformError(404, "EnvironmentNotFound", message)
    apply_ended_operation(find_platform(request), environment, find_tenant(request).clock.now())
    return environment


def _list_flows(request: Request, environment: SimulatedEnvironment) -> list[Flow]:
    with_row = find_platform(request).assumptions.my_flows_have_rows
    return [
        flow
        for flow in environment.list_shown_flows(find_tenant(request).clock.now())
        if flow.state != SimulatedFlowState.DELETED and (with_row or flow.is_in_solution)
    ]


def _answer_list(request: Request, rows: list[dict[str, Any]]) -> Response:
    asked = {
        name: value.lower()
        for name, value in request.query_params.items()
        if name != "api-version" and not name.startswith("$")
    }
    matching = [
        row
        for row in rows
        if all(str(row.get(name)).lower() == value for name, value in asked.items())
    ]
    chosen, next_link = select_page(request, matching, _PAGE)
    return JSONResponse({"value": chosen} | ({"nextLink": next_link} if next_link else {}))


def _build_environment_body(request: Request, environment: SimulatedEnvironment) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": environment.id,
        "tenantId": find_tenant(request).get_part(Directory).tenant_id,
        "type": environment.sku,
        "displayName": environment.display_name,
        "geo": environment.location,
        "azureRegion": environment.azure_region,
        "createdDateTime": format_time(environment.created),
        "state": "Disabled" if environment.is_locked else "Enabled",
        "protectionLevel": "Standard" if environment.is_managed else "Basic",
    }
    if environment.org_host:
        body |= {"dataverseId": environment.org_id, "url": f"https://{environment.org_host}/"}
        body["domainName"] = environment.org_host.partition(".")[0]
    if policy := environment.policy:
        link = {"id": policy.policy_id, "resourceId": policy.id, "status": policy.status}
        body["enterprisePolicies"] = {"encryption": link}
    return body


def _build_flow_body(environment: SimulatedEnvironment, flow: Flow) -> dict[str, Any]:
    state, status = _STATES.get(flow.state, ("Draft", "Draft"))
    return {
        "workflowId": flow.workflow_entity_id,
        "resourceId": flow.name,
        "name": flow.display_name,
        "description": flow.description,
        "definition": flow.client_data,
        "ownerId": _find_user_id(environment, flow.owner),
        "owningUser": _find_user_id(environment, flow.owner),
        "createdBy": _find_user_id(environment, flow.created_by),
        "createdOn": format_time(flow.created),
        "modifiedBy": _find_user_id(environment, flow.modified_by),
        "modifiedOn": format_time(flow.modified),
        "stateCode": state,
        "statusCode": status,
        "modernFlowType": "PowerAutomateFlow",
    }


def _build_action_bodies(environment: SimulatedEnvironment, flow: Flow) -> Iterator[dict[str, Any]]:
    definition = flow.parse_properties()["definition"]
    stages = [(True, *each) for each in definition["triggers"].items()]
    stages += [(False, *each) for each in walk_actions(definition.get("actions") or {})]
    for is_trigger, name, stage in stages:
        host: Mapping[str, Any] = {}
        if isinstance(inputs := stage.get("inputs"), dict):
            host = inputs.get("host") or {}
        yield {
            "processStageId": str(uuid5(NAMESPACE_URL, f"{flow.workflow_entity_id}/{name}")),
            "workflowId": flow.workflow_entity_id,
            "stageName": name,
            "isTrigger": is_trigger,
            "operationType": stage.get("type"),
            "operationKind": stage.get("kind"),
            "operationId": host.get("operationId"),
            "connector": str(host.get("apiId") or "").rpartition("/")[2] or None,
            "ownerId": _find_user_id(environment, flow.owner),
        }


def _build_run_body(
    environment: SimulatedEnvironment, flow: Flow, run: Run, now: datetime
) -> dict[str, Any]:
    is_over = now >= run.ends
    return {
        "flowRunId": str(uuid5(NAMESPACE_URL, run.name)),
        "name": run.name,
        "workflowId": flow.workflow_entity_id,
        "status": run.compute_status(now),
        "startTime": format_time(run.started),
        "endTime": format_time(run.ends) if is_over else None,
        "durationMs": int((run.ends - run.started).total_seconds() * 1000) if is_over else None,
        "triggerType": flow.get_facts().trigger_type,
        "ownerId": _find_user_id(environment, flow.owner),
    }


def _find_user_id(environment: SimulatedEnvironment, object_id: str) -> str | None:
    return environment.user_ids.get(object_id.lower())

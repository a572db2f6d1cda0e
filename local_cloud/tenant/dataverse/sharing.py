"""Serve the actions of Dataverse that share flows, and that add flows to solutions.

See platform.md#solutions, #dataverse-sharing.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.dataverse.access import (
    find_object_id,
    find_user_id,
    require_actor,
    require_right,
)
from local_cloud.tenant.dataverse.conditions import build_missing_row_error
from local_cloud.tenant.environments.access import find_platform, find_tenant
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedRole
from local_cloud.tenant.environments.solutions import WORKFLOW_COMPONENT, add_to_solution

_READ = frozenset({"ReadAccess"})
_EDIT = _READ | {
    "WriteAccess",
    "AppendAccess",
    "AppendToAccess",
    "DeleteAccess",
    "ShareAccess",
    "AssignAccess",
}


async def grant_access(request: Request) -> Response:
    return await _share_flow(request, beside=True)


async def modify_access(request: Request) -> Response:
    return await _share_flow(request, beside=False)


async def _share_flow(request: Request, *, beside: bool) -> Response:
    environment, actor = require_actor(request)
    body = await request.json()
    flow = _require_target(environment, body)
    require_right(flow, actor, to_write=True)
    access = body["PrincipalAccess"]
    holder = _find_holder(environment, access["Principal"])
    rights = frozenset(name.strip() for name in access["AccessMask"].split(","))
    if unknown := rights - _EDIT:
        message = f"The string '{min(unknown)}' is not a valid enumeration type constant."
        raise SimulatedPlatformError(400, "0x80048d19", message)
    if beside:
        rights |= _parse_rights(flow, holder)
    role = SimulatedRole.CAN_EDIT if "WriteAccess" in rights else SimulatedRole.CAN_VIEW
    _keep_for_reads(request, environment, flow)
    flow.share(holder, role, rights)
    return Response(status_code=204)


async def revoke_access(request: Request) -> Response:
    environment, actor = require_actor(request)
    body = await request.json()
    flow = _require_target(environment, body)
    require_right(flow, actor, to_write=True)
    holder = _find_holder(environment, body["Revokee"])
    _keep_for_reads(request, environment, flow)
    flow.unshare(holder)
    return Response(status_code=204)


async def list_access(request: Request) -> Response:
    """Serve RetrieveSharedPrincipalsAndAccess: return the users and teams with rights on a flow."""
    environment, actor = require_actor(request)
    target = request.query_params.get("@t") or request.query_params.get("@target") or ""
    workflow_id = target.rpartition("(")[2].partition(")")[0].strip("'\" ").lower()
    flow = environment.find_shown_flow(find_tenant(request).clock.now(), workflow_id=workflow_id)
    if flow is None:
        raise build_missing_row_error("workflow", workflow_id)
    require_right(flow, actor, to_write=False)
    shared = [
        {
            "AccessMask": ", ".join(sorted(_parse_rights(flow, holder))),
            "Principal": _build_principal(environment, holder),
        }
        for holder in flow.roles
    ]
    return JSONResponse({"PrincipalAccesses": shared})


def _parse_rights(flow: Flow, holder: str) -> frozenset[str]:
    role = flow.roles.get(holder)
    if role is None:
        return frozenset()
    return flow.rights.get(holder, _READ if role == SimulatedRole.CAN_VIEW else _EDIT)


def _find_holder(environment: SimulatedEnvironment, principal: dict[str, Any]) -> str:
    """Return the key under which a flow stores the rights of the principal in a body.

    Rejects an unknown principal.
    """
    table = str(principal["@odata.type"]).rpartition(".")[2]
    row_id = str(principal.get("ownerid") or principal[f"{table}id"]).lower()
    if table != "team":
        if environment.get_table("systemusers").get(row_id, {}).get("isdisabled"):
            raise SimulatedPlatformError(403, "0x80040225", "The specified user is disabled.")
        return find_object_id(environment, row_id)
    team = environment.get_table("teams").get(row_id)
    if team is None:
        raise build_missing_row_error("team", row_id)
    return str(team["azureactivedirectoryobjectid"] or row_id)


def _build_principal(environment: SimulatedEnvironment, holder: str) -> dict[str, Any]:
    for row in environment.get_table("teams").values():
        if holder in (row["azureactivedirectoryobjectid"], row["teamid"]):
            return {"@odata.type": "#Microsoft.Dynamics.CRM.team", "ownerid": row["teamid"]}
    user_id = find_user_id(environment, holder)
    return {"@odata.type": "#Microsoft.Dynamics.CRM.systemuser", "ownerid": user_id}


async def add_solution_component(request: Request) -> Response:
    environment, actor = require_actor(request)
    body = await request.json()
    if body.get("ComponentType") != WORKFLOW_COMPONENT:
        message = f"The component type {body.get('ComponentType')} is not supported here."
        raise SimulatedPlatformError(400, "0x80048d19", message)
    flow = environment.workflows.get(str(body["ComponentId"]).lower())
    if flow is None:
        raise build_missing_row_error("workflow", str(body["ComponentId"]))
    require_right(flow, actor, to_write=True)
    name = str(body["SolutionUniqueName"])
    if any(r["uniquename"] == name and r["ismanaged"] for r in _list_solutions(environment)):
        message = f"The solution '{name}' is managed: components cannot be added to it."
        raise SimulatedPlatformError(400, "0x80048033", message)
    _keep_for_reads(request, environment, flow)
    row_id = add_to_named_solution(environment, flow, name)
    return JSONResponse({"id": row_id})


def add_to_named_solution(environment: SimulatedEnvironment, flow: Flow, unique_name: str) -> str:
    """Add a flow to the solution with this unique name. Return the id of the component row."""
    for solution in _list_solutions(environment):
        if solution["uniquename"] == unique_name:
            return add_to_solution(environment, flow, solution)
    raise SimulatedPlatformError(404, "0x80040217", f"The solution '{unique_name}' was not found.")


def _keep_for_reads(request: Request, environment: SimulatedEnvironment, flow: Flow) -> None:
    find_platform(request).keep_flow_for_reads(environment, flow, find_tenant(request).clock.now())


def _list_solutions(environment: SimulatedEnvironment) -> list[Row]:
    return list(environment.get_table("solutions").values())


def _require_target(environment: SimulatedEnvironment, body: dict[str, Any]) -> Flow:
    workflow_id = str(body["Target"]["workflowid"]).lower()
    flow = environment.workflows.get(workflow_id)
    if flow is None:
        raise build_missing_row_error("workflow", workflow_id)
    return flow

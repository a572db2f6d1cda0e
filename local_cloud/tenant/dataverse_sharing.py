"""Dataverse actions on flows: sharing, and membership in solutions (contract §6.3, §6.4)."""

from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.dataverse_access import (
    object_id_of,
    require_actor,
    require_right,
    user_id_of,
)
from local_cloud.tenant.dataverse_conditions import missing
from local_cloud.tenant.dataverse_rows import TABLES
from local_cloud.tenant.environment import Environment
from local_cloud.tenant.flow import Flow, Role
from local_cloud.tenant.platform_error import PlatformError

_WORKFLOW_COMPONENT = 29
_READ = "ReadAccess"
_EDIT = "ReadAccess,WriteAccess,AppendAccess,AppendToAccess,DeleteAccess,ShareAccess,AssignAccess"


async def grant_access(request: Request) -> Response:
    """GrantAccess and ModifyAccess: give a user a right on a flow."""
    environment, actor = require_actor(request)
    body = await request.json()
    flow = _target(environment, body)
    require_right(flow, actor, to_write=True)
    access = body["PrincipalAccess"]
    object_id = object_id_of(environment, access["Principal"]["systemuserid"])
    can_edit = "WriteAccess" in access["AccessMask"]
    if object_id != flow.owner:
        flow.roles[object_id] = Role.CAN_EDIT if can_edit else Role.CAN_VIEW
    return Response(status_code=204)


async def revoke_access(request: Request) -> Response:
    """RevokeAccess: take a user's right away."""
    environment, actor = require_actor(request)
    body = await request.json()
    flow = _target(environment, body)
    require_right(flow, actor, to_write=True)
    flow.roles.pop(object_id_of(environment, body["Revokee"]["systemuserid"]), None)
    return Response(status_code=204)


async def list_access(request: Request) -> Response:
    """RetrieveSharedPrincipalsAndAccess: who a flow is shared with."""
    environment, actor = require_actor(request)
    target = request.query_params.get("@t") or request.query_params.get("@target") or ""
    workflow_id = target.rpartition("(")[2].partition(")")[0].strip("'\" ").lower()
    flow = environment.workflows.get(workflow_id)
    if flow is None:
        raise missing("workflow", workflow_id)
    require_right(flow, actor, to_write=False)
    shared = [
        {
            "AccessMask": _READ if role == Role.CAN_VIEW else _EDIT,
            "Principal": {
                "@odata.type": "#Microsoft.Dynamics.CRM.systemuser",
                "systemuserid": user_id_of(environment, object_id),
                "ownerid": user_id_of(environment, object_id),
            },
        }
        for object_id, role in flow.roles.items()
    ]
    return JSONResponse({"PrincipalAccesses": shared})


async def add_solution_component(request: Request) -> Response:
    """AddSolutionComponent: put a flow into an unmanaged solution."""
    environment, actor = require_actor(request)
    body = await request.json()
    if body.get("ComponentType") != _WORKFLOW_COMPONENT:
        message = f"The component type {body.get('ComponentType')} is not supported here."
        raise PlatformError(400, "0x80048d19", message)
    flow = environment.workflows.get(str(body["ComponentId"]).lower())
    if flow is None:
        raise missing("workflow", str(body["ComponentId"]))
    require_right(flow, actor, to_write=True)
    row_id = add_to_solution(environment, flow, str(body["SolutionUniqueName"]))
    return JSONResponse({"id": row_id})


def add_to_solution(environment: Environment, flow: Flow, unique_name: str) -> str:
    """Put a flow into a solution; the id of the component row, also when it is there already."""
    solution = next(
        (
            row
            for row in environment.table("solutions").values()
            if row["uniquename"] == unique_name
        ),
        None,
    )
    if solution is None:
        message = f"The solution '{unique_name}' was not found."
        raise PlatformError(404, "0x80040217", message)
    flow.solutions.add(unique_name)
    flow.is_in_solution = True
    components = environment.table("solutioncomponents")
    values: dict[str, Any] = {
        "objectid": flow.workflow_entity_id,
        "componenttype": _WORKFLOW_COMPONENT,
        "_solutionid_value": solution["solutionid"],
    }
    for row_id, row in components.items():
        if values.items() <= row.items():
            return row_id
    row_id = str(uuid4())
    components[row_id] = {
        TABLES["solutioncomponents"].key: row_id,
        **values,
        "versionnumber": 1,
    }
    return row_id


def _target(environment: Environment, body: dict[str, Any]) -> Flow:
    workflow_id = str(body["Target"]["workflowid"]).lower()
    flow = environment.workflows.get(workflow_id)
    if flow is None:
        raise missing("workflow", workflow_id)
    return flow

"""Serve the permissions, trigger URLs and access keys of flows.

See platform.md#flow-permissions, #trigger-url-read.
"""

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.entra.directory import Directory, PrincipalType
from local_cloud.tenant.environments.access import (
    find_platform,
    find_tenant,
    require_flow,
    require_flow_caller,
    require_shown_flow,
)
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState, SimulatedRole
from local_cloud.tenant.flow_service.bodies import PROVIDER
from local_cloud.tenant.flows.trigger_urls import build_callback

#: Roles that a put of another role would take away (platform.md#permission-downgrades).
_MORE_THAN = {
    SimulatedRole.CAN_EDIT: {SimulatedRole.OWNER},
    SimulatedRole.CAN_VIEW: {SimulatedRole.OWNER, SimulatedRole.CAN_EDIT},
}


async def list_permissions(request: Request) -> Response:
    environment, flow = require_shown_flow(request, require_flow_caller(request))
    directory = find_tenant(request).get_part(Directory)
    holders = {flow.owner: SimulatedRole.OWNER} | flow.roles
    value = [_build_permission(directory, environment, flow, each) for each in holders.items()]
    return JSONResponse({"value": value})


def _build_permission(
    directory: Directory,
    environment: SimulatedEnvironment,
    flow: Flow,
    holder: tuple[str, SimulatedRole],
) -> dict[str, Any]:
    object_id, role = holder
    principal = directory.principals.get(object_id)
    kind = principal.type if principal else PrincipalType.USER
    path = f"{PROVIDER}/environments/{environment.id}/flows/{flow.name}/permissions/{object_id}"
    return {
        "name": object_id,
        "id": path,
        "type": "/providers/Microsoft.ProcessSimple/environments/flows/permissions",
        "properties": {
            "roleName": role,
            "permissionType": "Principal",
            "principal": {"id": object_id, "type": kind},
        },
    }


async def modify_permissions(request: Request) -> Response:
    _, flow = require_flow(request, require_flow_caller(request))
    body = await request.json()
    for put in body.get("put") or []:
        _put_permission(find_tenant(request).get_part(Directory), flow, put["properties"])
    for entry in body.get("delete") or []:
        object_id = str(entry.get("id", "")).rpartition("/")[2]
        if not flow.unshare(object_id):
            message = f"The permission '{object_id}' was not found on the flow."
            raise SimulatedPlatformError(404, "PermissionNotFound", message)
    return JSONResponse({"put": body.get("put") or [], "delete": body.get("delete") or []})


def _put_permission(directory: Directory, flow: Flow, properties: dict[str, Any]) -> None:
    role = properties.get("roleName")
    if role not in (SimulatedRole.CAN_EDIT, SimulatedRole.CAN_VIEW):
        message = f"The role '{role}' cannot be assigned to a flow."
        raise SimulatedPlatformError(400, "InvalidRoleName", message)
    object_id = str(properties["principal"]["id"])
    if object_id not in directory.principals:
        message = f"The principal '{object_id}' was not found in the tenant."
        raise SimulatedPlatformError(404, "PrincipalNotFound", message)
    if flow.find_role(object_id) in _MORE_THAN[SimulatedRole(role)]:
        message = f"The permission of '{object_id}' on the flow cannot be downgraded to '{role}'."
        raise SimulatedPlatformError(400, "PermissionDowngradeNotAllowed", message)
    flow.share(object_id, SimulatedRole(role))


async def list_triggers(request: Request) -> Response:
    environment, flow = require_shown_flow(request, require_flow_caller(request))
    name = flow.get_facts().trigger_name
    path = f"{PROVIDER}/environments/{environment.id}/flows/{flow.name}/triggers/{name}"
    state = "Enabled" if flow.state == SimulatedFlowState.STARTED else "Disabled"
    return JSONResponse({"value": [{"name": name, "id": path, "properties": {"state": state}}]})


async def list_callback_url(request: Request) -> Response:
    environment, flow = require_shown_flow(request, require_flow_caller(request))
    facts = flow.get_facts()
    trigger = request.path_params["trigger"]
    if trigger != facts.trigger_name:
        message = f"The workflow trigger '{trigger}' could not be found."
        raise SimulatedPlatformError(404, "WorkflowTriggerNotFound", message)
    if not facts.has_callback_url:
        message = (
            "The list callback url operation is blocked for triggers of type "
            f"'{facts.trigger_type}'."
        )
        raise SimulatedPlatformError(400, "ListCallbackUrlOperationBlocked", message)
    if not flow.was_on and not find_platform(request).assumptions.callback_url_before_activation:
        message = f"The trigger '{trigger}' has no URL: the flow was never turned on."
        raise SimulatedPlatformError(400, "WorkflowTriggerIsNotEnabled", message)
    return JSONResponse({"response": build_callback(environment, flow)})


async def regenerate_access_key(request: Request) -> Response:
    """Replace the access key of a flow. All its earlier trigger URLs become invalid."""
    _, flow = require_flow(request, require_flow_caller(request))
    flow.access_key = secrets.token_bytes(32)
    return Response(status_code=200)

"""Serve Dataverse's Web API. Each environment has its own host, with tables and a few actions.

See platform.md#dataverse-api.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse import definitions, sharing, tables
from local_cloud.tenant.dataverse.access import (
    Actor,
    find_privilege_depth,
    require_actor,
    require_right,
)
from local_cloud.tenant.dataverse.answers import (
    build_list_answer,
    build_row_answer,
    build_written_answer,
    select_members,
)
from local_cloud.tenant.dataverse.batch import run_batch
from local_cloud.tenant.dataverse.conditions import build_missing_row_error, require_conditions
from local_cloud.tenant.dataverse.workflows import (
    build_flow_row,
    create_workflow,
    delete_workflow,
    has_row,
    list_visible_flows,
    update_workflow,
)
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow

HOSTS = (".dynamics.com",)
OPTIONS = {
    "list_workflows": ("$filter", "$select", "$orderby", "$top", "$expand"),
    "get_workflow": ("$select", "$expand"),
    "list_rows": ("$filter", "$select", "$orderby", "$top", "$expand"),
    "get_row": ("$select", "$expand"),
    "list_tables": ("$filter", "$select"),
    "describe_table": ("$select",),
    "list_choices": ("$select", "$expand"),
    "list_access": ("@t", "@target"),
}

#: Clients name the version that they were written for.
BASE = "/api/data/v9.{minor:int}"
_ID = "({row_id})"
_TABLE = f"{BASE}/EntityDefinitions(LogicalName='{{table}}')"
_CHOICES = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
_PRIVILEGE = (
    "Microsoft.Dynamics.CRM.RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='{privilege}')"
)


def build_routes(_: Tenant) -> list[Route]:
    """Return the routes: actions first, then `workflows`, then all other tables."""
    workflows, rows = f"{BASE}/workflows", f"{BASE}/{{entity_set}}"
    return [
        Route(f"{BASE}/$batch", run_batch, methods=["POST"]),
        Route(f"{BASE}/GrantAccess", sharing.grant_access, methods=["POST"]),
        Route(f"{BASE}/ModifyAccess", sharing.modify_access, methods=["POST"]),
        Route(f"{BASE}/RevokeAccess", sharing.revoke_access, methods=["POST"]),
        Route(f"{BASE}/AddSolutionComponent", sharing.add_solution_component, methods=["POST"]),
        Route(f"{BASE}/RetrieveSharedPrincipalsAndAccess(Target=@t)", sharing.list_access),
        Route(f"{BASE}/RetrieveSharedPrincipalsAndAccess(Target=@target)", sharing.list_access),
        Route(f"{BASE}/WhoAmI", answer_who_am_i),
        Route(f"{BASE}/WhoAmI()", answer_who_am_i),
        Route(workflows, list_workflows, methods=["GET"]),
        Route(workflows, post_workflow, methods=["POST"]),
        Route(workflows + _ID, get_workflow, methods=["GET"]),
        Route(workflows + _ID, patch_workflow, methods=["PATCH"]),
        Route(workflows + _ID, remove_workflow, methods=["DELETE"]),
        Route(f"{BASE}/systemusers{_ID}/{_PRIVILEGE}", get_privilege, methods=["GET"]),
        Route(f"{BASE}/EntityDefinitions", definitions.list_tables),
        Route(_TABLE, definitions.describe_table),
        Route(f"{_TABLE}/Attributes/{_CHOICES}", definitions.list_choices),
        Route(rows + _ID, tables.get_row, methods=["GET"]),
        Route(rows + _ID, tables.patch_row, methods=["PATCH"]),
        Route(rows + _ID, tables.remove_row, methods=["DELETE"]),
        Route(rows, tables.list_rows, methods=["GET"]),
        Route(rows, tables.post_row, methods=["POST"]),
    ]


async def answer_who_am_i(request: Request) -> Response:
    environment, actor = require_actor(request)
    mine = environment.users[actor.object_id.lower()]
    body = {"UserId": mine["systemuserid"], "OrganizationId": environment.org_id}
    return JSONResponse(body)


async def get_privilege(request: Request) -> Response:
    environment, _ = require_actor(request)
    user = environment.get_table("systemusers").get(_parse_row_id(request))
    if user is None:
        raise build_missing_row_error("systemuser", _parse_row_id(request))
    depth = find_privilege_depth(user, request.path_params["privilege"])
    found = [{"Depth": depth, "BusinessUnitId": environment.org_id}] if depth else []
    return JSONResponse({"RolePrivileges": found})


async def list_workflows(request: Request) -> Response:
    environment, actor = require_actor(request)
    tenant = find_tenant(request)
    flows = list_visible_flows(tenant, environment, actor)
    rows = _LazyRows(environment, flows)
    return build_list_answer(request, environment, "workflows", rows)


class _LazyRows(Sequence[Row]):
    """Flows as rows, each built only when it is read: a page shows 500 of maybe 10,000."""

    def __init__(self, environment: SimulatedEnvironment, flows: list[Flow]) -> None:
        self._environment = environment
        self._flows = flows

    def __len__(self) -> int:
        return len(self._flows)

    def __getitem__(self, place: Any) -> Any:
        return build_flow_row(self._environment, self._flows[place])


async def post_workflow(request: Request) -> Response:
    environment, actor = require_actor(request)
    workflow_id = _create_workflow(request, environment, actor, await request.json())
    return _answer_write(request, environment, workflow_id)


def _create_workflow(
    request: Request, environment: SimulatedEnvironment, actor: Actor, body: Row
) -> str:
    solution = request.headers.get("MSCRM.SolutionUniqueName")
    known = {row["uniquename"] for row in environment.get_table("solutions").values()}
    if solution and solution not in known:
        raise SimulatedPlatformError(404, "0x80040217", f"The solution '{solution}' was not found.")
    tenant = find_tenant(request)
    workflow_id = create_workflow(tenant, environment, actor, body | {"solution": solution})
    if solution:
        sharing.add_to_named_solution(environment, environment.workflows[workflow_id], solution)
    return workflow_id


async def get_workflow(request: Request) -> Response:
    environment, actor = require_actor(request)
    workflow_id = _parse_row_id(request)
    flow = environment.find_shown_flow(find_tenant(request).clock.now(), workflow_id=workflow_id)
    if flow is None or not has_row(find_tenant(request), flow):
        raise build_missing_row_error("workflow", workflow_id)
    require_right(flow, actor, to_write=False)
    row = build_flow_row(environment, flow)
    return build_row_answer(select_members(request, environment, "workflows", row))


async def patch_workflow(request: Request) -> Response:
    """Change a flow. Without `If-Match`, a missing flow is created with the id in the path."""
    environment, actor = require_actor(request)
    workflow_id, body = _parse_row_id(request), await request.json()
    flow = environment.workflows.get(workflow_id)
    version = flow.version if flow else None
    require_conditions(request, entity="workflow", row_id=workflow_id, version=version)
    if flow is None:
        new = {"category": 5, **body, "workflowid": workflow_id}
        wanted_state = new.pop("statecode", None), new.pop("statuscode", None)
        _create_workflow(request, environment, actor, new)
        if wanted_state[0] == 1:
            _turn_on_at_once(request, environment, actor, workflow_id)
    else:
        update_workflow(find_tenant(request), environment, actor, flow, body)
    return _answer_write(request, environment, workflow_id)


def _turn_on_at_once(
    request: Request, environment: SimulatedEnvironment, actor: Actor, workflow_id: str
) -> None:
    """Turn on a flow in the request that created it. Removes the flow if this fails."""
    flow = environment.workflows[workflow_id]
    try:
        update_workflow(find_tenant(request), environment, actor, flow, {"statecode": 1})
    except SimulatedPlatformError:
        environment.forget_flow(flow)
        raise


async def remove_workflow(request: Request) -> Response:
    environment, actor = require_actor(request)
    workflow_id = _parse_row_id(request)
    flow = environment.workflows.get(workflow_id)
    if flow is None or not has_row(find_tenant(request), flow):
        raise build_missing_row_error("workflow", workflow_id)
    require_conditions(request, entity="workflow", row_id=workflow_id, version=flow.version)
    delete_workflow(find_tenant(request), environment, actor, flow)
    return Response(status_code=204)


def _parse_row_id(request: Request) -> str:
    return str(request.path_params["row_id"]).lower()


def _answer_write(
    request: Request, environment: SimulatedEnvironment, workflow_id: str
) -> Response:
    row = build_flow_row(environment, environment.workflows[workflow_id])
    return build_written_answer(request, environment, "workflows", row)

"""Serve requests to read, create, change, start, stop, delete and restore a flow.

See platform.md#flow-read, #connector-shapes.
"""

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.platform_error import InvalidQueryError, SimulatedPlatformError
from local_cloud.tenant.core.tokens import SimulatedCaller
from local_cloud.tenant.environments.access import (
    build_flow_not_found_error,
    find_platform,
    find_tenant,
    is_admin_scope,
    require_environment,
    require_flow,
    require_flow_caller,
    require_shown_flow,
)
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.migration import migrate_released_flows
from local_cloud.tenant.environments.solutions import add_to_solution
from local_cloud.tenant.flow_service.bodies import (
    build_api_definition,
    build_full_body,
    build_lean_item,
    build_license_data,
    parse_client_data_member,
)
from local_cloud.tenant.flows.lifecycle import (
    NewFlow,
    create,
    delete,
    require_connections,
    require_published,
    require_writable,
    save,
    turn_off,
    turn_on,
)
from local_cloud.tenant.flows.saves import (
    empty_references_if_rejected,
    require_reference_hosts,
    require_savable_update,
    restore_if_rejected,
    with_added_references,
)

#: How long a deleted flow can be restored (platform.md#recycle-bin).
_RECYCLE_BIN = timedelta(days=21)
#: What `$expand` of a flow may name; but for two, it adds nothing that the tenant has
#: (platform.md#flow-read).
_EXPANSIONS = {
    "properties.connectionreferences.apidefinition",
    "properties.definitionsummary.operations.apioperation",
    "properties.estimatedsuspensiondata",
    "properties.licensedata",
    "properties.throttledata",
    "operationdefinition",
    "plan",
    "swagger",
}
#: Flows that one call may move into a solution (platform.md#move-into-solution).
_BATCH = 20


async def get_flow(request: Request) -> Response:
    """Return a flow with its definition.

    The tenant may assume that administrators without a role on the flow get no definition.
    """
    caller = require_flow_caller(request)
    environment, flow = require_shown_flow(request, caller)
    assumptions = find_platform(request).assumptions
    known = environment.workflows.get(flow.workflow_entity_id, flow)
    is_stranger = is_admin_scope(request) and known.find_role(caller.object_id) is None
    if is_stranger and assumptions.definitions_hidden_from_administrators:
        return JSONResponse(build_lean_item(find_tenant(request), environment, flow))
    body = build_full_body(find_tenant(request), environment, flow)
    expanded = _parse_expand(request)
    if "properties.licensedata" in expanded:
        body["properties"]["licenseData"] = build_license_data(find_tenant(request), flow)
    if "properties.connectionreferences.apidefinition" in expanded:
        for reference in body["properties"]["connectionReferences"].values():
            reference["apiDefinition"] = build_api_definition(reference)
    return JSONResponse(body)


def _parse_expand(request: Request) -> set[str]:
    asked = set(filter(None, request.query_params.get("$expand", "").lower().split(",")))
    if unknown := asked - _EXPANSIONS:
        message = f"The query option '$expand' has the invalid value '{min(unknown)}'."
        raise InvalidQueryError(message)
    return asked


async def create_flow(request: Request) -> Response:
    """Create a flow that the request's sender owns. A repeated request creates another flow."""
    caller = require_flow_caller(request)
    tenant, environment = find_tenant(request), require_environment(request)
    properties = (await request.json())["properties"]
    is_in_solution = _has_solution_setting(environment)
    client_data, stamp = parse_client_data_member(properties), ""
    if find_platform(request).assumptions.creates_stamp_references and not is_in_solution:
        client_data, stamp = with_added_references(client_data, _map_logical_names(environment))
    flow = create(
        tenant,
        environment,
        NewFlow(
            display_name=properties["displayName"],
            client_data=client_data,
            owner=caller.object_id,
            description=properties.get("description") or "",
            is_in_solution=is_in_solution,
        ),
    )
    flow.stamped_reference = stamp
    try:
        require_connections(environment, flow, caller.object_id)
        if properties.get("state", "Started") == "Started":
            _start_if_licensed(request, environment, flow)
    except SimulatedPlatformError:
        environment.forget_flow(flow)
        raise
    return JSONResponse(build_full_body(tenant, environment, flow), 201)


def _start_if_licensed(request: Request, environment: SimulatedEnvironment, flow: Flow) -> None:
    """Turn a new flow on. Leaves it off if its owner lacks the required licence.

    See platform.md#premium-licences.
    """
    try:
        turn_on(find_tenant(request), environment, flow, flow.owner)
    except SimulatedPlatformError as error:
        if error.code != "MissingAdequateQuotaPolicy":
            raise


def _has_solution_setting(environment: SimulatedEnvironment) -> bool:
    organizations = environment.get_table("organizations").values()
    return any(row.get("enableflowsinsolutionbydefault") for row in organizations)


def _map_logical_names(environment: SimulatedEnvironment) -> dict[str, str]:
    """Return the logical name of one connection reference for each connector."""
    return {
        str(row["connectorid"]).rpartition("/")[2]: row["connectionreferencelogicalname"]
        for row in environment.get_table("connectionreferences").values()
    }


async def update_flow(request: Request) -> Response:
    caller = require_flow_caller(request)
    environment, flow = require_flow(request, caller)
    tenant = find_tenant(request)
    properties: dict[str, Any] = (await request.json()).get("properties") or {}
    if "definition" in properties:
        with empty_references_if_rejected(find_platform(request).assumptions, flow):
            _save_definition(
                request, environment, flow, caller.object_id, parse_client_data_member(properties)
            )
    flow.display_name = properties.get("displayName", flow.display_name)
    if properties.get("state") == SimulatedFlowState.STARTED:
        turn_on(tenant, environment, flow, caller.object_id)
    elif properties.get("state") == SimulatedFlowState.STOPPED:
        turn_off(tenant, environment, flow)
    flow.touch(caller.object_id, tenant.clock.now())
    return JSONResponse(build_full_body(tenant, environment, flow))


def _save_definition(
    request: Request, environment: SimulatedEnvironment, flow: Flow, caller: str, client_data: str
) -> None:
    """Replace a flow's definition.

    In a solution, the definition must have the newer format of connectors. See
    platform.md#connector-shapes.
    """
    tenant, assumptions = find_tenant(request), find_platform(request).assumptions
    require_writable(tenant, environment)
    if flow.is_in_solution:
        require_reference_hosts(client_data)
    require_savable_update(assumptions, flow, client_data, tenant.clock.now())
    with restore_if_rejected(flow):
        save(tenant, environment, flow, client_data)
        if flow.state == SimulatedFlowState.STARTED:
            require_connections(environment, flow, caller)


async def delete_flow(request: Request) -> Response:
    """Delete a flow; it can be restored for 21 days."""
    environment, flow = require_flow(request, require_flow_caller(request))
    delete(find_tenant(request), environment, flow)
    return Response(status_code=204)


async def restore_flow(request: Request) -> Response:
    caller, now = require_flow_caller(request), find_tenant(request).clock.now()
    environment = require_environment(request)
    flow = environment.flows.get(request.path_params["flow"].lower())
    is_binned = flow is not None and flow.state == SimulatedFlowState.DELETED
    if flow is None or not is_binned or now >= flow.modified + _RECYCLE_BIN:
        raise SimulatedPlatformError(404, "FlowNotFound", "Could not find the deleted flow.")
    find_platform(request).keep_flow_for_reads(environment, flow, now)
    environment.restore_flow(flow)
    flow.touch(caller.object_id, now)
    return Response(status_code=200)


async def start_flow(request: Request) -> Response:
    caller = require_flow_caller(request)
    environment, flow = require_flow(request, caller)
    require_published(flow)
    turn_on(find_tenant(request), environment, flow, caller.object_id)
    return Response(status_code=200)


async def stop_flow(request: Request) -> Response:
    environment, flow = require_flow(request, require_flow_caller(request))
    turn_off(find_tenant(request), environment, flow)
    return Response(status_code=200)


async def move_into_solution(request: Request) -> Response:
    """Serve `migrateFlows`: add up to twenty flows to a solution, by default the default one.

    A maker may add only flows that the maker may edit (platform.md#move-into-solution).
    """
    caller = require_flow_caller(request)
    environment = require_environment(request)
    solution = _find_named_solution(request, environment)
    names = (await request.json()).get("flowsToMigrate") or []
    if len(names) > _BATCH:
        message = f"At most {_BATCH} flows can be migrated in one call."
        raise SimulatedPlatformError(400, "InvalidRequestContent", message)
    flows = [_require_movable_flow(request, environment, caller, str(name)) for name in names]
    tenant = find_tenant(request)
    require_writable(tenant, environment)
    with migrate_released_flows(find_platform(request), environment, tenant.clock.now()):
        for flow in flows:
            find_platform(request).keep_flow_for_reads(environment, flow, tenant.clock.now())
            flow.is_in_solution = True
            if solution is not None:
                add_to_solution(environment, flow, solution)
    return JSONResponse({}, 202)


def _find_named_solution(request: Request, environment: SimulatedEnvironment) -> Row | None:
    name = request.path_params.get("solution") or request.query_params.get("solutionId")
    solution = environment.get_table("solutions").get((name or "").lower())
    if name and solution is None:
        raise SimulatedPlatformError(404, "SolutionNotFound", f"Could not find solution '{name}'.")
    return solution


def _require_movable_flow(
    request: Request, environment: SimulatedEnvironment, caller: SimulatedCaller, name: str
) -> Flow:
    flow = environment.flows.get(name.lower())
    if flow is None or flow.state == SimulatedFlowState.DELETED:
        raise build_flow_not_found_error(name)
    if not is_admin_scope(request) and not flow.may_be_edited_by(caller.object_id):
        raise build_flow_not_found_error(name)
    return flow

"""Show flows as rows of the table `workflows`, and apply the writes of these rows to the flows.

Dataverse wraps the errors of the flow service in its own error (platform.md#wrapped-errors).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import uuid4

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse.access import (
    Actor,
    build_privilege_error,
    find_object_id,
    find_user_id,
    require_right,
)
from local_cloud.tenant.dataverse.connection_references import with_connection_names
from local_cloud.tenant.dataverse.rows import format_whole_seconds
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.lifecycle import (
    NewFlow,
    create,
    delete,
    require_connections,
    require_writable,
    save,
    turn_off,
    turn_on,
)
from local_cloud.tenant.flows.saves import (
    empty_references_if_rejected,
    require_savable,
    require_savable_update,
    restore_if_rejected,
)

_STATE = {SimulatedFlowState.STARTED: 1, SimulatedFlowState.SUSPENDED: 2}
_STATUS = {SimulatedFlowState.STARTED: 2, SimulatedFlowState.SUSPENDED: 3}
#: Columns that a create or an update may name.
_WRITABLE = frozenset(
    {
        "workflowid",
        "category",
        "type",
        "primaryentity",
        "name",
        "description",
        "clientdata",
        "modernflowtype",
        "statecode",
        "statuscode",
        "ownerid@odata.bind",
    }
)


def build_flow_row(environment: SimulatedEnvironment, flow: Flow) -> Row:
    owner = find_user_id(environment, flow.owner)
    return {
        "@odata.etag": f'W/"{flow.version}"',
        "workflowid": flow.workflow_entity_id,
        "workflowidunique": flow.name,
        "name": flow.display_name,
        "description": flow.description,
        "category": 5,
        "type": 1,
        "primaryentity": "none",
        "statecode": _STATE.get(flow.state, 0),
        "statuscode": _STATUS.get(flow.state, 1),
        "modernflowtype": flow.modern_type,
        "ismanaged": flow.is_managed,
        "clientdata": flow.client_data,
        "createdon": format_whole_seconds(flow.created),
        "modifiedon": format_whole_seconds(flow.modified),
        "versionnumber": flow.version,
        "_ownerid_value": owner,
        "_owninguser_value": owner,
        "_owningteam_value": None,
        "_createdby_value": find_user_id(environment, flow.created_by),
        "_createdonbehalfby_value": find_user_id(environment, flow.created_on_behalf_by),
        "_modifiedby_value": find_user_id(environment, flow.modified_by),
    }


def has_row(tenant: Tenant, flow: Flow) -> bool:
    return flow.is_in_solution or tenant.get_part(PowerPlatform).assumptions.my_flows_have_rows


def list_visible_flows(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor
) -> list[Flow]:
    """Return the flows whose rows the actor may read, in the order of creation."""
    return [
        flow
        for flow in environment.list_shown_flows(tenant.clock.now())
        if flow.state != SimulatedFlowState.DELETED
        and has_row(tenant, flow)
        and (actor.is_administrator or flow.find_role(actor.object_id) is not None)
    ]


def create_workflow(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor, body: Row
) -> str:
    """Create a flow that is off, and return its id.

    The body may name the id and the owner; by default, the owner is the actor. Its member
    `solution` is the value of the header `MSCRM.SolutionUniqueName`.
    """
    solution = body.pop("solution", None)
    _require_known(body)
    _require_short_name(tenant, body)
    if body.get("category") != 5:
        raise SimulatedPlatformError(
            400, "0x80045044", "Only cloud flows (category 5) are created here."
        )
    workflow_id = str(body.get("workflowid") or uuid4()).lower()
    if workflow_id in environment.workflows:
        raise SimulatedPlatformError(
            412, "0x80040237", "A record with matching key values already exists."
        )
    client_data = str(body.get("clientdata") or "")
    with wrap_errors():
        require_savable(tenant.get_part(PowerPlatform).assumptions, client_data)
        client_data = _format_stored_definition(tenant, environment, client_data)
        create(
            tenant,
            environment,
            NewFlow(
                display_name=str(body.get("name") or ""),
                client_data=client_data,
                owner=_find_owner(environment, body) or actor.object_id,
                on_behalf_by=actor.on_behalf_by,
                workflow_entity_id=workflow_id,
                description=str(body.get("description") or ""),
                modern_type=int(body.get("modernflowtype") or 0),
                solutions=frozenset({solution} if solution else ()),
            ),
        )
    return workflow_id


def update_workflow(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor, flow: Flow, body: Row
) -> None:
    """Change columns of a flow's row, then turn the flow on or off if the body says so."""
    require_right(flow, actor, to_write=True)
    _require_known(body)
    _require_short_name(tenant, body)
    assumptions = tenant.get_part(PowerPlatform).assumptions
    tenant.get_part(PowerPlatform).keep_flow_for_reads(environment, flow, tenant.clock.now())
    is_save = "clientdata" in body
    harm = empty_references_if_rejected(assumptions, flow) if is_save else nullcontext()
    with wrap_errors():
        require_writable(tenant, environment)
        with harm, restore_if_rejected(flow):
            _change_flow(tenant, environment, actor, flow, body)
    flow.modern_type = body.get("modernflowtype", flow.modern_type)
    flow.touch(actor.object_id, tenant.clock.now())


def _change_flow(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor, flow: Flow, body: Row
) -> None:
    if "clientdata" in body:
        _save_definition(tenant, environment, flow, str(body["clientdata"]))
    flow.display_name = body.get("name", flow.display_name)
    flow.description = body.get("description") or flow.description
    flow.owner = _find_owner(environment, body) or flow.owner
    _change_state(tenant, environment, actor, flow, body.get("statecode"))
    if "clientdata" in body and flow.state == SimulatedFlowState.STARTED:
        require_connections(environment, flow, _find_checked_person(tenant, actor))


def _save_definition(
    tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, client_data: str
) -> None:
    assumptions = tenant.get_part(PowerPlatform).assumptions
    require_savable_update(assumptions, flow, client_data, tenant.clock.now())
    save(tenant, environment, flow, _format_stored_definition(tenant, environment, client_data))


def _change_state(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor, flow: Flow, state: int | None
) -> None:
    if state == 0:
        turn_off(tenant, environment, flow)
    elif state == 1:
        turn_on(tenant, environment, flow, _find_checked_person(tenant, actor))


def _find_checked_person(tenant: Tenant, actor: Actor) -> str:
    """Return the object id whose rights the flow service checks.

    This is the sender's if the impersonation does not reach the flow service.
    """
    assumptions = tenant.get_part(PowerPlatform).assumptions
    if actor.on_behalf_by and not assumptions.impersonation_reaches_flow_service:
        return actor.on_behalf_by
    return actor.object_id


def delete_workflow(
    tenant: Tenant, environment: SimulatedEnvironment, actor: Actor, flow: Flow
) -> None:
    require_right(flow, actor, to_write=True)
    if flow.is_managed:
        raise build_privilege_error(actor.object_id, "prvDeleteWorkflow")
    tenant.get_part(PowerPlatform).keep_flow_for_reads(environment, flow, tenant.clock.now())
    with wrap_errors():
        delete(tenant, environment, flow)


def _format_stored_definition(
    tenant: Tenant, environment: SimulatedEnvironment, client_data: str
) -> str:
    """Return a definition as the platform stores it."""
    if tenant.get_part(PowerPlatform).assumptions.saves_name_connections:
        return with_connection_names(environment, client_data)
    return client_data


def _require_known(body: Row) -> None:
    for name in body:
        if name not in _WRITABLE and not name.startswith("@"):
            message = f"An undeclared property '{name}' which only has property annotations."
            raise SimulatedPlatformError(400, "0x80048d19", message)


def _require_short_name(tenant: Tenant, body: Row) -> None:
    limit = tenant.get_part(PowerPlatform).assumptions.workflow_name_units
    if len(str(body.get("name") or "").encode("utf-16-le", "surrogatepass")) > 2 * limit:
        message = (
            "A validation error occurred.  The length of the 'name' attribute of the 'workflow' "
            f"entity exceeded the maximum allowed length of '{limit}'."
        )
        raise SimulatedPlatformError(400, "0x80044331", message)


def _find_owner(environment: SimulatedEnvironment, body: dict[str, Any]) -> str | None:
    reference = body.get("ownerid@odata.bind")
    if reference is None:
        return None
    return find_object_id(environment, str(reference).rpartition("(")[2].rstrip(")"))


@contextmanager
def wrap_errors() -> Iterator[None]:
    """Wrap errors of the flow service as Dataverse does, except those of a platform migration.

    See platform.md#blocked-writes.
    """
    try:
        yield
    except SimulatedPlatformError as error:
        if error.status == 409 or error.code.startswith("0x"):
            raise
        reason = "Forbidden" if error.status == 403 else "BadRequest"
        message = (
            f'Flow client error returned with status code "{reason}" and details '
            f'"{json.dumps(error.build_body())}".'
        )
        raise SimulatedPlatformError(400, "0x80060467", message) from error

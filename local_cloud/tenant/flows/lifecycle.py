"""Create, save, turn on, turn off and delete flows, by the same rules for every API.

The errors are the flow service's own (SimulatedPlatformError). Dataverse wraps them
(dataverse/workflows.py).
"""

from dataclasses import dataclass, field
from uuid import uuid4

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.flow_facts import (
    InvalidDefinitionError,
    SimulatedConnectionUse,
)
from local_cloud.tenant.environments.migration import migrate_released_flows
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.recurrence import compute_first_due
from local_cloud.tenant.flows.saves import require_known_references
from local_cloud.tenant.flows.self_starting import replay_backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlow:
    display_name: str
    client_data: str
    owner: str
    #: The caller, when it acts on the owner's behalf.
    on_behalf_by: str | None = None
    workflow_entity_id: str = field(default_factory=lambda: str(uuid4()))
    description: str = ""
    modern_type: int = 0
    is_in_solution: bool = True
    solutions: frozenset[str] = frozenset()


def require_writable(tenant: Tenant, environment: SimulatedEnvironment) -> None:
    """Reject a write while an operation or migration of the environment is in progress.

    See platform.md#blocked-writes.
    """
    assumptions = tenant.get_part(PowerPlatform).assumptions
    if environment.is_migrating(tenant.clock.now()):
        raise SimulatedPlatformError(
            assumptions.migration_blocked_status,
            assumptions.migration_blocked_code,
            f"Flows of the environment '{environment.id}' cannot be created or changed while "
            "a customer-managed key is applied to it.",
        )


def create(tenant: Tenant, environment: SimulatedEnvironment, new: NewFlow) -> Flow:
    """Create a flow that is off. In a linked environment, it begins on the customer's key."""
    platform, now = tenant.get_part(PowerPlatform), tenant.clock.now()
    require_writable(tenant, environment)
    if not new.is_in_solution:
        _require_room(platform, environment, new.owner)
    is_protected = environment.migration_ends is not None
    flow = Flow(
        name=new.workflow_entity_id,
        workflow_entity_id=new.workflow_entity_id,
        display_name=new.display_name,
        client_data="",
        owner=new.owner,
        created=now,
        modified=now,
        created_by=new.owner,
        modified_by=new.owner,
        created_on_behalf_by=new.on_behalf_by,
        description=new.description,
        modern_type=new.modern_type,
        is_in_solution=new.is_in_solution,
        solutions=set(new.solutions),
        protected_since=now if is_protected else None,
        url_form=platform.assumptions.protected_url_form if is_protected else "environment",
    )
    _save_definition(environment, flow, new.client_data)
    platform.add_flow(environment, flow)
    platform.keep_flow_for_reads(environment, flow, now, is_new=True)
    return flow


def save(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, client_data: str) -> None:
    """Replace a flow's definition, and store the current values of environment variables.

    See platform.md#stale-variables.
    """
    require_writable(tenant, environment)
    if flow.state == SimulatedFlowState.STARTED:
        environment.unsubscribe(flow)
    with migrate_released_flows(tenant.get_part(PowerPlatform), environment, tenant.clock.now()):
        _save_definition(environment, flow, client_data)
    if flow.state == SimulatedFlowState.STARTED:
        environment.subscribe(flow)
        flow.next_due = compute_first_due(flow, tenant.clock.now(), is_new=False)


def _save_definition(environment: SimulatedEnvironment, flow: Flow, client_data: str) -> None:
    try:
        flow.save(client_data)
    except InvalidDefinitionError as error:
        raise SimulatedPlatformError(400, "InvalidTemplate", str(error)) from error
    store_variables(environment, flow)


def store_variables(environment: SimulatedEnvironment, flow: Flow) -> None:
    """Store the current values of environment variables in a flow that uses them."""
    values = read_current_variables(environment)
    flow.saved_variables = {
        parameter: values[schema]
        for parameter, schema in flow.get_facts().variables
        if schema in values
    }


def read_current_variables(environment: SimulatedEnvironment) -> dict[str, str]:
    """Return the value or the default of each environment variable by its schema name."""
    definitions = environment.get_table("environmentvariabledefinitions")
    values = {
        row["schemaname"]: row["defaultvalue"]
        for row in definitions.values()
        if row.get("defaultvalue") is not None
    }
    for row in environment.get_table("environmentvariablevalues").values():
        definition = definitions.get(row.get("_environmentvariabledefinitionid_value") or "")
        if definition is not None:
            values[definition["schemaname"]] = row["value"]
    return values


def turn_on(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, activator: str) -> None:
    """Turn a flow on for the person or application `activator` (object id).

    Rejects this, for example, if the activator may not use the flow's connections, if the licence
    is missing, or if a child is off.
    """
    require_writable(tenant, environment)
    platform = tenant.get_part(PowerPlatform)
    if flow.state == SimulatedFlowState.STARTED:
        return
    _require_person(tenant, activator)
    _require_licence(tenant, flow)
    _require_children(platform, environment, flow)
    require_known_references(flow.client_data)
    names = require_connections(environment, flow, activator)
    if blocked := sorted(
        {use.api for use in flow.get_facts().connections} & environment.blocked_connectors
    ):
        _require_allowed_by_data_policy(platform, flow, blocked)
        return
    if platform.assumptions.activations_that_do_not_stick > 0:
        platform.assumptions.activations_that_do_not_stick -= 1
        return
    flow.granted_connections.update(
        name for name in names if environment.connections[name].owner == activator
    )
    _start_flow(tenant, environment, flow)


def _require_allowed_by_data_policy(
    platform: PowerPlatform, flow: Flow, blocked: list[str]
) -> None:
    if platform.assumptions.data_policy_refuses_activation:
        apis = ", ".join(f"/providers/Microsoft.PowerApps/apis/{one}" for one in blocked)
        message = f"Admin data policy 'Tenant policy' restricts use of these apis: {apis}."
        raise SimulatedPlatformError(403, "DlpViolation", message)
    flow.state, flow.suspension_reason = SimulatedFlowState.SUSPENDED, "CompanyDlpViolation"


def _start_flow(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    platform = tenant.get_part(PowerPlatform)
    is_new = not flow.was_on
    flow.state, flow.suspension_reason, flow.was_on = SimulatedFlowState.STARTED, "None", True
    store_variables(environment, flow)
    flow.next_due = compute_first_due(flow, tenant.clock.now(), is_new=is_new)
    replay_backlog(tenant, environment, flow)
    environment.subscribe(flow)
    if is_new and platform.assumptions.activation_changes_flow_name:
        environment.rename_flow(flow, str(uuid4()))


def turn_off(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    """Turn a flow off. Its runs continue; from now on, calls to its URL are rejected."""
    require_writable(tenant, environment)
    if flow.state == SimulatedFlowState.DELETED:
        return
    if flow.state == SimulatedFlowState.STARTED:
        environment.unsubscribe(flow)
    flow.state, flow.next_due = SimulatedFlowState.STOPPED, None


def delete(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    require_writable(tenant, environment)
    now = tenant.clock.now()
    for run in flow.runs:
        if run.ends > now:
            run.ends, run.outcome = now, "Cancelled"
    environment.remove_flow(flow)
    flow.modified, flow.next_due = now, None


def _require_room(platform: PowerPlatform, environment: SimulatedEnvironment, owner: str) -> None:
    mine = sum(
        flow.owner == owner and not flow.is_in_solution and flow.state != SimulatedFlowState.DELETED
        for flow in environment.order
    )
    if mine >= platform.assumptions.flows_per_owner:
        message = f"The user has reached the limit of {mine} flows."
        raise SimulatedPlatformError(403, "FlowCountLimitExceeded", message)


def require_published(flow: Flow) -> None:
    """Reject a flow in a solution that was never on: the flow service cannot turn it on.

    See platform.md#unpublished-flows.
    """
    if flow.is_in_solution and not flow.was_on:
        message = f"The flow '{flow.name}' of a solution cannot be started: it is not published."
        raise SimulatedPlatformError(400, "CannotStartUnpublishedSolutionFlow", message)


def _require_person(tenant: Tenant, activator: str) -> None:
    """Reject an activation by an application where only a person may activate.

    See platform.md#application-activators.
    """
    if tenant.get_part(PowerPlatform).assumptions.applications_activate:
        return
    principal = tenant.get_part(Directory).principals.get(activator)
    if principal is not None and principal.client_id:
        message = f"BapListServicePlansFailed: user details of '{activator}' are missing."
        raise SimulatedPlatformError(400, "MissingUserDetails", message)


def _require_licence(tenant: Tenant, flow: Flow) -> None:
    if flow.get_facts().is_premium and not tenant.get_part(Directory).has_premium(flow.owner):
        raise SimulatedPlatformError(
            403,
            "MissingAdequateQuotaPolicy",
            f"The user '{flow.owner}' does not have a service plan adequate for the non-Standard "
            "connection 'Http'. A license is required.",
        )


def _require_children(
    platform: PowerPlatform, environment: SimulatedEnvironment, flow: Flow
) -> None:
    for child_id in flow.get_facts().children:
        child = environment.workflows.get(child_id)
        # One that runs itself is off while it is turned on: having been on is all it can offer.
        must_be_on = platform.assumptions.children_must_be_on and child is not flow
        is_ready = child and (
            child.state == SimulatedFlowState.STARTED if must_be_on else child.was_on
        )
        if not is_ready:
            message = (
                f"The workflow with id '{child_id}' cannot be used as a child workflow because it "
                "has never been published. Child workflows need to be published at least once "
                "before they can be included in a published parent workflow."
            )
            raise SimulatedPlatformError(400, "ChildFlowNeverPublished", message)


def _list_embedded_connections(flow: Flow) -> list[SimulatedConnectionUse]:
    return [use for use in flow.get_facts().connections if not use.is_invokers]


def require_connections(environment: SimulatedEnvironment, flow: Flow, activator: str) -> list[str]:
    """Return the names of the flow's connections.

    Rejects an activator who may not use all of them.
    """
    return [
        _require_connection(environment, flow, use, activator)
        for use in _list_embedded_connections(flow)
    ]


def _require_connection(
    environment: SimulatedEnvironment, flow: Flow, use: SimulatedConnectionUse, activator: str
) -> str:
    """Return the name of a connection that a flow uses. Rejects an activator who may not use it.

    See platform.md#activation-check.
    """
    name = find_connection_name(environment, use)
    if not name:
        raise SimulatedPlatformError(
            400,
            "XrmConnectionReferenceMissingConnection",
            "Connection Id missing for connection reference logical name "
            f"'{use.logical_name or use.key}'.",
        )
    connection = environment.connections.get(name)
    may_use = {connection.owner, *connection.shared_with} if connection else set()
    is_granted = activator in may_use or name in flow.granted_connections
    if connection is None or connection.error or not is_granted:
        raise SimulatedPlatformError(
            403,
            "ConnectionAuthorizationFailed",
            f"The caller object id is '{activator}'. Connection '{name}' to "
            f"'{use.api}' cannot be used to activate this flow, either because this is not a "
            "valid connection or because it is not a connection you have access permission for.",
        )
    return name


def find_connection_name(
    environment: SimulatedEnvironment, use: SimulatedConnectionUse
) -> str | None:
    """Return the name of the connection that a flow uses, or None."""
    if use.logical_name:
        for row in environment.get_table("connectionreferences").values():
            if row["connectionreferencelogicalname"] == use.logical_name:
                return row.get("connectionid")
    return use.connection_name


def grant_connections(environment: SimulatedEnvironment, flow: Flow) -> None:
    names = (find_connection_name(environment, use) for use in _list_embedded_connections(flow))
    flow.granted_connections.update(name for name in names if name)

"""Apply the effects of a customer-managed key on the flows of an environment.

Nothing runs in the background: each flow has the time from which it is on the key, which readers
compare with the clock. See platform.md#flows-that-stay, #migrated-ids, #stopped-originals.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.environments.environment import LinkStatus, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform


def has_own_microsoft_key_reason(flow: Flow) -> bool:
    """Return whether a flow stays on Microsoft's key for its own reason, not that of a child."""
    return flow.is_held_back or flow.get_facts().has_microsoft_key_reason(
        in_solution=flow.is_in_solution
    )


def list_held_back_flows(environment: SimulatedEnvironment, assumptions: Assumptions) -> set[str]:
    """Return the Dataverse ids of the flows that cannot migrate, and of all their parents.

    A child on the customer-managed key keeps no parent on Microsoft's.
    """
    flows = [
        flow
        for flow in environment.order
        if flow.state != SimulatedFlowState.DELETED and flow.protected_since is None
    ]
    if assumptions.hold_all_flows:
        return {flow.workflow_entity_id for flow in flows}
    parents: defaultdict[str, list[str]] = defaultdict(list)
    for flow in flows:
        for child in flow.get_facts().children:
            parents[child].append(flow.workflow_entity_id)
    stay = {flow.workflow_entity_id for flow in flows if has_own_microsoft_key_reason(flow)}
    frontier = list(stay)
    while frontier:
        for parent in parents[frontier.pop()]:
            if parent not in stay:
                stay.add(parent)
                frontier.append(parent)
    return stay


def apply_ended_operation(
    platform: PowerPlatform, environment: SimulatedEnvironment, now: datetime
) -> None:
    """Apply the effect of an environment's operation if its time has come."""
    operation = environment.operation
    if operation is None or operation.is_settled or now < operation.ends:
        return
    operation.is_settled = True
    if operation.error:
        if environment.policy:
            environment.policy.status = LinkStatus.FAILED
    elif operation.link is None:
        _return_to_microsofts_key(environment)
    else:
        already = environment.migration_ends is not None
        environment.policy = operation.link
        environment.policy.status = LinkStatus.LINKED
        if not already:
            seconds = environment.migration_seconds
            if seconds is None:
                seconds = platform.assumptions.migration_seconds
            start_migration(platform, environment, operation.ends, seconds)


def start_migration(
    platform: PowerPlatform, environment: SimulatedEnvironment, linked: datetime, seconds: float
) -> None:
    """Set the times at which flows migrate, evenly distributed over the migration."""
    stay = list_held_back_flows(environment, platform.assumptions)
    moving = [
        flow
        for flow in environment.order
        if flow.workflow_entity_id not in stay
        and flow.state != SimulatedFlowState.DELETED
        and flow.protected_since is None
    ]
    for number, flow in enumerate(moving, start=1):
        flow.protected_since = linked + timedelta(seconds=seconds * number / len(moving))
        if platform.assumptions.migration_changes_workflow_id:
            flow.workflow_id = flow.workflow_id[::-1]
            platform.register_trigger_url(environment, flow)
    environment.migration_ends = linked + timedelta(seconds=seconds if moving else 0)


@contextmanager
def migrate_released_flows(
    platform: PowerPlatform, environment: SimulatedEnvironment, now: datetime
) -> Iterator[None]:
    """Migrate the flows that lose their reason to stay on Microsoft's key inside the block.

    A parent has the reasons of its children. Does nothing until the environment's migration is
    over.
    """
    has_key = environment.migration_ends is not None and now >= environment.migration_ends
    if not has_key or not platform.assumptions.edited_flows_migrate:
        yield
        return
    before = list_held_back_flows(environment, platform.assumptions)
    yield
    for workflow_id in before - list_held_back_flows(environment, platform.assumptions):
        flow = environment.workflows[workflow_id]
        flow.protected_since = flow.protected_since or now


def _return_to_microsofts_key(environment: SimulatedEnvironment) -> None:
    environment.policy = None
    environment.migration_ends = None
    for flow in environment.order:
        flow.protected_since = None


def find_flows_on_microsoft_key(
    platform: PowerPlatform, environment: SimulatedEnvironment, now: datetime, *, only_stuck: bool
) -> list[Flow]:
    """Return flows on Microsoft's key, or with `only_stuck` only those that cannot migrate.

    Flows that are off are omitted if the tenant assumes it.
    """
    assumptions = platform.assumptions
    listed = [
        flow
        for flow in environment.list_shown_flows(now)
        if flow.state != SimulatedFlowState.DELETED
        and not flow.is_protected(now)
        and (assumptions.stopped_flows_stay_listed or flow.state == SimulatedFlowState.STARTED)
    ]
    if not only_stuck:
        return listed
    stay = list_held_back_flows(environment, assumptions)
    return [flow for flow in listed if flow.workflow_entity_id in stay]

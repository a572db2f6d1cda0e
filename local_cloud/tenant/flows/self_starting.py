"""Start the flows that recurrences and events of connectors start.

See platform.md#recurrence-start, #missed-events.
"""

from typing import Any

from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.recurrence import compute_next_due, parse_interval
from local_cloud.tenant.flows.runtime import Start, complete_due_runs, start_run


async def apply_effects_of_time(tenant: Tenant) -> None:
    """Complete the runs and start the recurrences that are due.

    Slots that were missed are skipped.
    """
    complete_due_runs(tenant)
    now = tenant.clock.now()
    for environment in tenant.get_part(PowerPlatform).environments.values():
        if is_locked(tenant, environment):
            continue
        for flow in environment.order:
            if (
                flow.next_due is None
                or flow.next_due > now
                or flow.state != SimulatedFlowState.STARTED
            ):
                continue
            step = parse_interval(flow)
            flow.next_due = compute_next_due(flow.next_due, now, step) if step else None
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.RECURRENCE, by="recurrence")
            )


def play_event(
    tenant: Tenant, environment: SimulatedEnvironment, event: dict[str, Any]
) -> list[str]:
    """Play an event of a connector operation, and return the names of the started flows.

    A polling flow that was turned off processes the event when it is turned on again; a flow with a
    webhook never does.
    """
    started = []
    for flow in environment.order:
        facts = flow.get_facts()
        if facts.operation_id != event["operationId"] or flow.state == SimulatedFlowState.DELETED:
            continue
        if flow.state == SimulatedFlowState.STARTED:
            if not _is_subscribed(tenant, environment, flow):
                continue
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.EVENT, by=facts.operation_id)
            )
            started.append(flow.name)
        elif flow.was_on and is_polling(flow):
            flow.backlog.append(event)
    return started


def _is_subscribed(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> bool:
    """Return whether a flow gets the events of its webhook.

    If the tenant assumes that subscriptions have names, only the flow last turned on with a name
    gets its events.
    """
    name = flow.get_facts().subscription
    if not name or not tenant.get_part(PowerPlatform).assumptions.subscriptions_have_names:
        return True
    return environment.subscriptions.get(name) is flow


def is_polling(flow: Flow) -> bool:
    """Return whether the flow has a connector trigger that polls."""
    return flow.get_facts().trigger_type in ("OpenApiConnection", "ApiConnection")


def replay_backlog(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    """Start a polling flow once for each event that occurred while it was off.

    If the tenant assumes that nothing is replayed, these events are dropped.
    """
    missed, flow.backlog = flow.backlog, []
    if tenant.get_part(PowerPlatform).assumptions.polling_replays_backlog:
        for event in missed:
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.EVENT, by=event["operationId"])
            )

"""Start self-starting flows: recurrences, and events of connectors.

See platform.md#recurrence-start, #missed-events.
"""

from typing import Any

from local_cloud.tenant.azure.linked_policies import is_locked
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.recurrence import compute_next_due, parse_interval
from local_cloud.tenant.flows.runtime import Start, settle_runs, start_run


async def tick(tenant: Tenant) -> None:
    """Apply the effects of time: long runs end, and recurrences start. Missed slots are skipped."""
    settle_runs(tenant)
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


def emit(tenant: Tenant, environment: SimulatedEnvironment, event: dict[str, Any]) -> list[str]:
    """Send an event of a connector's operation (`{"operationId": …}`); return the started flows.

    Every flow that is on starts, also a copy beside its original. A flow with a polling trigger
    that is off processes the event when it is turned on again; one with a webhook trigger never
    does.
    """
    started = []
    for flow in environment.order:
        facts = flow.get_facts()
        if facts.operation_id != event["operationId"] or flow.state == SimulatedFlowState.DELETED:
            continue
        if flow.state == SimulatedFlowState.STARTED:
            if not _is_told(tenant, environment, flow):
                continue
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.EVENT, by=facts.operation_id)
            )
            started.append(flow.name)
        elif flow.was_on and is_polling(flow):
            flow.backlog.append(event)
    return started


def _is_told(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> bool:
    """Return whether Dataverse sends a flow its events: no other has its subscription's name."""
    name = flow.get_facts().subscription
    if not name or not tenant.get_part(PowerPlatform).assumptions.subscriptions_have_names:
        return True
    return environment.subscriptions.get(name) is flow


def is_polling(flow: Flow) -> bool:
    """Return whether a connector trigger polls."""
    return flow.get_facts().trigger_type in ("OpenApiConnection", "ApiConnection")


def replay_backlog(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    """Start a polling flow once for each event that occurred while it was off."""
    missed, flow.backlog = flow.backlog, []
    if tenant.get_part(PowerPlatform).assumptions.polling_replays_backlog:
        for event in missed:
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.EVENT, by=event["operationId"])
            )

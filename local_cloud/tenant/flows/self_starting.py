"""Flows that start themselves: recurrences, and events of connectors.

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
    """What time brings: long runs end, recurrences start. Missed slots are not made up."""
    settle_runs(tenant)
    now = tenant.clock.now()
    for environment in tenant.part(PowerPlatform).environments.values():
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
    """An event of a connector's operation (`{"operationId": …}`): names of the flows it started.

    Every flow that is on starts, a copy beside its original too. A polling trigger that is off sees
    the event when it is turned on again; a webhook trigger never does.
    """
    started = []
    for flow in environment.order:
        facts = flow.facts()
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
    """Whether Dataverse knows the flow by the registration that it shares with nobody, or has."""
    name = flow.facts().subscription
    if not name or not tenant.part(PowerPlatform).assumptions.subscriptions_have_names:
        return True
    return environment.subscriptions.get(name) is flow


def is_polling(flow: Flow) -> bool:
    """True for a connector trigger that asks at intervals."""
    return flow.facts().trigger_type in ("OpenApiConnection", "ApiConnection")


def replay_backlog(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    """Start a polling flow once for each event that it missed while off."""
    missed, flow.backlog = flow.backlog, []
    if tenant.part(PowerPlatform).assumptions.polling_replays_backlog:
        for event in missed:
            start_run(
                tenant, environment, flow, Start(cause=RunStartKind.EVENT, by=event["operationId"])
            )

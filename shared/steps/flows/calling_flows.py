"""Flows that call, or will call, from the addresses under the key, by the hosts that they call."""

from collections import defaultdict

from shared.alerts import readable
from shared.domain.environment import Environment
from shared.ports import Condition
from shared.services import Services

type CallingFlows = dict[tuple[str, ...], list[str]]


async def calling_flows(services: Services, environment: Environment) -> CallingFlows:
    """Return the remediation of each flow with a copy, on the way to one, or approved to get one.

    A plan that is approved and not dispatched yet has no jobs: its flows are in its rows.
    """
    found: CallingFlows = defaultdict(list)
    known: set[str] = set()
    async for kept in readable(services, services.tables.flow_jobs.scan(environment.id)):
        job = kept.item
        known.add(job.original_id)
        if job.http_hosts and job.pattern.has_copy and (job.is_live or job.has_succeeded):
            found[job.http_hosts].append(job.remediation_id)
    where = [Condition("environment_id", "eq", environment.id)]
    async for approved in readable(services, services.tables.environment_jobs.scan(where=where)):
        plan = approved.item
        if plan.state_properties.is_inactive or not plan.approval_count:
            continue
        known.update(plan.excluded_from_approval)
        async for planned in readable(services, services.tables.plan_items.scan(plan.id)):
            item = planned.item
            gets_copy = item.action.is_copy and item.pattern.has_copy
            if gets_copy and item.http_hosts and item.workflow_id not in known:
                found[item.http_hosts].append(plan.remediation_id)
    return dict(found)

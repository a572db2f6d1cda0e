"""Find the flows that send, or will send, from the new addresses, with the hosts that they call."""

from collections import defaultdict

from shared.alerts import read_readable
from shared.domain.environment import Environment
from shared.ports import Condition
from shared.services import Services

type CallingFlows = dict[tuple[str, ...], list[str]]


async def read_calling_flows(services: Services, environment: Environment) -> CallingFlows:
    """Return remediation ids by the hosts that their flows call, one id for each flow.

    Only flows count that have a copy, are being copied, or are approved to be copied. A plan that
    was just approved has no jobs yet, so its items are read.
    """
    found: CallingFlows = defaultdict(list)
    known: set[str] = set()
    async for kept in read_readable(services, services.tables.flow_jobs.scan(environment.id)):
        job = kept.item
        known.add(job.original.id)
        if (
            job.original.http_hosts
            and job.migration_method.has_copy
            and (job.is_live or job.has_succeeded)
        ):
            found[job.original.http_hosts].append(job.remediation_id)
    where = [Condition("environment_id", "eq", environment.id)]
    async for approved in read_readable(
        services, services.tables.environment_jobs.scan(where=where)
    ):
        plan = approved.item
        if plan.state_properties.is_inactive or not plan.approval_count:
            continue
        known.update(plan.excluded_from_approval)
        async for planned in read_readable(services, services.tables.plan_items.scan(plan.id)):
            item = planned.item
            gets_copy = item.action.is_copy and item.migration_method.has_copy
            if gets_copy and item.http_hosts and item.workflow_id not in known:
                found[item.http_hosts].append(plan.remediation_id)
    return dict(found)

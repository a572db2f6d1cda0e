"""Test how many store requests an action on all flows of a remediation needs.

A storage request takes 5 to 10 ms, so an action on 2,000 flows takes 2 to 4 seconds.
"""

from dataclasses import replace

import pytest

from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.job_index import is_closed
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.compare_job_index import compare_job_index
from tests.performance.growth import Grown, Use, build_grown_tenant

#: Most operations for each flow: up to five for a transaction of twenty rows.
MOST_EACH = 0.25
#: Operations whatever the number of flows.
MOST_SHARED = 20


async def block_all(tenant: Grown) -> None:
    """Block every flow job."""

    def mark_blocked(job: FlowJob) -> FlowJob:
        reached = FlowJobState.CHECKING_FOR_CALLS
        return replace(job, state=FlowJobState.BLOCKED, resume_state=reached, reason_code="x")

    jobs = tenant.services.tables.flow_jobs
    await jobs.upsert(*map(mark_blocked, await jobs.read_all()))
    await compare_job_index(tenant.services)


@pytest.mark.parametrize("flows", [100, 1000])
@pytest.mark.parametrize("action", ["roll_back", "retry"])
async def test_action_on_many_flows_needs_few_transactions(flows: int, action: str) -> None:
    """After the action, each job has the command and a wake-up, and the job index counts it as
    open.
    """
    tenant = await build_grown_tenant(flows)
    identity = tenant.scenario.remediation.id
    if action == "retry":
        await block_all(tenant)
    done: list[int] = []
    uses: dict[str, Use] = {
        "roll_back": lambda services: change_remediation.roll_back(services, identity),
        "retry": lambda services: change_remediation.retry(services, identity),
    }

    async def act(services: Services) -> None:
        result: change_remediation.ActionResult = await uses[action](services)  # type: ignore[assignment]
        done.append(result.flow_count)

    cost = await tenant.measure_cost(act)

    services = tenant.services
    jobs = [
        job for job in await services.tables.flow_jobs.read_all() if job.remediation_id == identity
    ]
    reminded = {one.row for one in await services.tables.wake_ups.read_all()}
    assert done == [flows] == [len(jobs)]
    assert cost.operations <= MOST_EACH * flows + MOST_SHARED
    assert {services.tables.flow_jobs.name_of(job) for job in jobs} <= reminded
    assert not any(map(is_closed, jobs))
    command = JobCommand.ROLL_BACK if action == "roll_back" else None
    assert {job.requested_command for job in jobs} == {command}
    before = await services.tables.job_index.read_all()
    await compare_job_index(services)
    after = await services.tables.job_index.read_all()
    assert {(row.key, str(row.closed)) for row in before} == {
        (row.key, str(row.closed)) for row in after
    }

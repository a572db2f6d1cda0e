import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.plans.job_index import SETTLED_AFTER, IndexRow, NamedKind
from shared.domain.plans.remediation import RemediationMode
from shared.domain.timer_run import TimerRun
from shared.errors import CmkflowError, Conflict
from shared.jobs.job_kinds import FLOW
from shared.ports import Operation, StoreRow
from shared.services import Services
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.read_job_index import COMPARED
from shared.use_cases.show_remediation import list_remediations
from shared.use_cases.show_status import show_status
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.driver import Driver
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

FLOWS = ("Orders", "Invoices", "Returns", "Stock")


async def read_both_answers[T](
    services: Services, ask: Callable[[Services], Awaitable[T]]
) -> tuple[T, T]:
    """Return the answer from the job index, then the answer from all job rows."""
    runs = services.tables.timer_runs
    kept = await runs.get("timer", COMPARED)
    assert kept is not None, "no comparison has come to its end"
    fast = await ask(services)
    await runs.delete(kept)
    slow = await ask(services)
    await runs.upsert(kept.item)
    return fast, slow


async def check_answers(scenario: Scenario) -> None:
    fast, slow = await read_both_answers(scenario.services, show_status)
    assert fast.flows == slow.flows
    assert fast.not_migrated == slow.not_migrated
    assert fast.pending_actions == slow.pending_actions
    assert {one.environment_id: one for one in fast.environments} == {
        one.environment_id: one for one in slow.environments
    }
    assert sorted(map(repr, fast.ongoing)) == sorted(map(repr, slow.ongoing))
    assert fast.health == slow.health
    listed = await read_both_answers(
        scenario.services, lambda services: list_remediations(services, limit=3)
    )
    by_index, by_rows = ([(one.remediation, one.progress) for one in x.items] for x in listed)
    assert by_index == by_rows


async def count_index_rows(services: Services) -> Counter[NamedKind]:
    return Counter([row.kind for row in await services.tables.job_index.read_all()])


async def compare_twice(services: Services, scenario: Scenario) -> None:
    """Compare index and rows twice, with a pause after which closed jobs are only counted."""
    await compare_job_index(services)
    scenario.world.clock.advance(SETTLED_AFTER)
    await compare_job_index(services)


def build_scenario() -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
    for title in FLOWS:
        scenario.build.add_app_setting_caller(
            scenario.build.add_http_flow(title), site=title, setting="URL"
        )
    scenario.build.apply_key()
    scenario.build.share_connections()
    return scenario


async def block_job(services: Services, job: FlowJob) -> None:
    def mark_stuck(job: FlowJob) -> FlowJob | None:
        if job.is_inactive:
            return None
        told = stop_with_reason(
            job, FlowJobState.BLOCKED, "No.", "Do it.", code="no", now=services.now
        )
        return replace(told, next_check_at=None)

    await FLOW.apply_command(services, (job.environment_id, job.id), mark_stuck)


async def do_random_action(scenario: Scenario, draw: random.Random, number: int) -> None:
    ids = {flow.name: flow.workflow_id for flow in scenario.world.list_flows()}
    some = [ids[title] for title in draw.sample(FLOWS, draw.randint(1, 2))]
    deeds = ["order", "approve", "roll back", "retry", "block", "compare", "settle", "time"]
    match draw.choice(deeds):
        case "order":
            await scenario.order(RemediationMode.APPLY, *some, cause=f"order {number}")
        case "approve":
            await scenario.driver.call(lambda s: approve_shown(s, scenario.remediation.id))
        case "roll back":
            await scenario.roll_back(*some, run=timedelta(0))
        case "retry":
            await scenario.retry(run=timedelta(0))
        case "block":
            job = draw.choice([*(await scenario.read_jobs()).values()] or [None])
            if job and not job.is_inactive:
                await scenario.driver.call(lambda s: block_job(s, job))
        case "compare":
            await scenario.driver.call(compare_job_index)
        case "settle":
            await compare_twice(scenario.services, scenario)
        case _:
            await scenario.run(timedelta(days=draw.randint(1, 9)))


@pytest.mark.parametrize("seed", range(8))
async def test_index_and_rows_give_the_same_answer(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 -- no secret
    scenario = build_scenario()
    await scenario.opt_in()
    await compare_job_index(scenario.services)
    await scenario.order(cause="first")
    for number in range(12):
        if draw.random() < 0.3:
            scenario.driver = Driver(
                fakes=scenario.fakes,
                make=scenario.make,
                plan=Plan(at=draw.randint(1, 40), moment=draw.choice(list(Moment))),
            )
        try:
            await do_random_action(scenario, draw, number)
        except CmkflowError:
            pass  # it cannot be done now
        except Killed:
            scenario.renew()
        await scenario.run(timedelta(minutes=draw.randint(1, 90)))
        # The index is trusted, though nothing has corrected it.
        run = TimerRun(timer=COMPARED, completed_at=scenario.services.now)
        await scenario.services.tables.timer_runs.upsert(run)
        await check_answers(scenario)


async def test_closed_jobs_are_counted_and_indexed_again_after_a_rollback() -> None:
    scenario = build_scenario()
    await scenario.run_remediation()
    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    await compare_twice(scenario.services, scenario)

    before = await count_index_rows(scenario.services)
    await check_answers(scenario)
    job = await scenario.read_job("Orders")
    await scenario.driver.call(
        lambda s: FLOW.apply_command(s, (job.environment_id, job.id), _keep_row)
    )
    await scenario.roll_back(job.original.id, run=timedelta(minutes=1))
    under_way = await count_index_rows(scenario.services)
    await check_answers(scenario)
    await scenario.run(timedelta(days=9))
    await compare_twice(scenario.services, scenario)

    assert before[NamedKind.FLOW_JOB] == 0
    assert under_way[NamedKind.FLOW_JOB] == 1
    assert (await show_status(scenario.services)).flows == {"retired": 3, "rolled_back": 1}
    await check_answers(scenario)


def _keep_row(job: FlowJob) -> FlowJob:
    """Return the job unchanged, so that its row is written."""
    return job


async def test_job_that_is_indexed_again_during_a_comparison_stays_indexed() -> None:
    scenario = build_scenario()
    await scenario.run_remediation()
    services = scenario.services
    await compare_job_index(services)
    scenario.world.clock.advance(SETTLED_AFTER)
    job = await scenario.read_job("Orders")
    kept = await services.tables.flow_jobs.get(job.environment_id, job.id)
    assert kept
    write, done = services.tables.store.write, False

    async def act_before_write(*operations: Operation) -> list[StoreRow]:
        nonlocal done
        if len(operations) > 1 and not done:
            done = True
            opened = replace(kept.item, state=FlowJobState.ROLLING_BACK, next_check_at=services.now)
            await services.tables.flow_jobs.replace(kept, opened)
        return await write(*operations)

    services.tables.store.write = act_before_write  # type: ignore[method-assign]
    try:
        await compare_job_index(services)
    except Conflict:
        pass
    finally:
        services.tables.store.write = write  # type: ignore[method-assign]

    assert done
    named = {row.job_id for row in await services.tables.job_index.read_all()}
    assert job.id in named
    await check_answers(scenario)


async def test_unreadable_index_row_loses_no_job() -> None:
    """The key of an unreadable row still identifies its job."""
    scenario = build_scenario()
    await scenario.run_remediation()
    await compare_twice(scenario.services, scenario)
    rows = scenario.fakes.store.rows
    for name, row in list(rows.items()):
        if row.table == "jobindex":
            rows[name] = replace(row, columns={**row.columns, "data0": "{garbage"})
    fast, slow = await read_both_answers(scenario.services, show_status)

    assert fast.flows == slow.flows == {"retired": 4}
    assert fast.environments == slow.environments
    await compare_job_index(scenario.services)
    assert all(
        isinstance(row, IndexRow) for row in await scenario.services.tables.job_index.read_all()
    )
    await check_answers(scenario)

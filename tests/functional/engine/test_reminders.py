"""Test the timer that wakes up jobs when their rows are due."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import resume
from shared.domain.jobs.wake_up import WakeUp
from shared.domain.plans.pending_actions import PendingActionKind
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.jobs.due_scan import send_due_messages
from shared.jobs.job_kinds import FLOW
from shared.queues import FLOW_JOBS
from shared.use_cases.change_remediation import retry, roll_back
from shared.use_cases.check_health import check_health
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.show_status import show_status
from shared.use_cases.start_remediation import start_remediation
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.driver import Driver
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.two_environments import TwoEnvironments

MINUTE = timedelta(minutes=1)
#: Twice the time after a crash until the lease ends and the timer runs.
SOON_AFTER = timedelta(minutes=8)


async def build_no_call_scenario(flows: int = 1) -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    for number in range(flows):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(hours=1))
    assert {job.reason_code for job in (await scenario.read_jobs()).values()} == {"no_call_period"}
    return scenario


async def list_wakeups(scenario: Scenario, job: FlowJob) -> list[WakeUp]:
    found = await scenario.services.tables.wake_ups.read_all("wake_up")
    return [one for one in found if one.row[2] == job.id]


async def make_due(scenario: Scenario, job: FlowJob) -> None:
    """Make a job due without a message, as if the process died before it sent one."""
    now = scenario.services.now
    place = (job.environment_id, job.id)
    await FLOW.change(scenario.services, place, lambda one: one and resume(one, "Now.", now=now))


async def test_job_in_the_no_call_period_has_no_message_and_continues_in_time() -> None:
    scenario = await build_no_call_scenario(3)
    due = {job.next_check_at for job in (await scenario.read_jobs()).values()}

    assert scenario.fakes.messages.list_waiting_messages(FLOW_JOBS) == []
    await scenario.run(timedelta(days=8))

    jobs = (await scenario.read_jobs()).values()
    assert {job.state for job in jobs} == {FlowJobState.RETIRED}
    assert {job.history[-1].changed_at for job in jobs} == due


async def test_timer_reads_no_row_that_is_not_due() -> None:
    scenario = await build_no_call_scenario(3)
    read: list[str] = []
    get = scenario.fakes.store.get

    async def record_and_get(table: str, partition: str, key: str) -> object:
        read.append(table)
        return await get(table, partition, key)

    scenario.services.tables.store.get = record_and_get  # type: ignore[method-assign,assignment]
    for _ in range(24):
        scenario.world.clock.advance(timedelta(hours=1))
        await send_due_messages(scenario.services)

    assert "flowjobs" not in read
    assert "environmentjobs" in read  # the environment job is due within this day


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("call", range(1, 12))
async def test_stored_request_is_carried_out_after_a_kill(call: int, moment: Moment) -> None:
    scenario = await build_no_call_scenario()
    driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=Plan(at=call, moment=moment))

    with suppress(Killed):
        await driver.call(lambda s: roll_back(s, scenario.remediation.id))
    scenario.fakes.messages.lose_waiting_messages()
    is_ordered = (await scenario.read_job("Flow 0")).requested_command is not None
    await scenario.run(SOON_AFTER)

    job = await scenario.read_job("Flow 0")
    assert (job.is_rolling_back or job.is_withdrawn) == is_ordered


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("call", range(1, 14))
async def test_stored_remediation_starts_after_a_kill(call: int, moment: Moment) -> None:
    scenario = TwoEnvironments()
    scenario.prepare()
    await scenario.opt_in_both()
    order = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.APPLY,
        start_source=StartSource.API_REQUEST,
        idempotency_key="both",
        environment_ids=tuple(build.environment.id for build in scenario.builders),
    )
    driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=Plan(at=call, moment=moment))

    with suppress(Killed):
        await driver.call(lambda s: start_remediation(s, order))
    scenario.fakes.messages.lose_waiting_messages()
    rows = await scenario.services.tables.remediations.read_all()
    await scenario.run(SOON_AFTER)

    jobs = await scenario.services.tables.environment_jobs.read_all()
    finished = [(one, EnvironmentJobState.COMPLETED) for one in order.environment_ids] * len(rows)
    assert {(job.environment_id, job.state) for job in jobs} == set(finished)


async def test_wake_up_of_a_frozen_writer_is_kept() -> None:
    """A process may freeze between writing the wake-up and writing the row."""
    scenario = await build_no_call_scenario()
    job = await scenario.read_job("Flow 0")
    await FLOW.schedule_wake_up(scenario.services, job)
    for _ in range(11):
        scenario.world.clock.advance(MINUTE)
        await send_due_and_overdue_messages(scenario.services)
    kept = await scenario.services.tables.flow_jobs.get(job.environment_id, job.id)
    assert kept is not None
    now = scenario.services.now
    await scenario.services.tables.flow_jobs.replace(kept, resume(job, "Now.", now=now))

    await scenario.run(SOON_AFTER)

    assert (await scenario.read_job("Flow 0")).message_number > job.message_number


async def test_retired_job_has_no_wake_ups() -> None:
    scenario = await build_no_call_scenario(2)
    await scenario.run(timedelta(days=9))

    assert [job.state for job in (await scenario.read_jobs()).values()] == [
        FlowJobState.RETIRED
    ] * 2
    assert await scenario.services.tables.wake_ups.read_all("wake_up") == []


async def test_job_retried_repeatedly_has_one_wake_up() -> None:
    scenario = await build_no_call_scenario()
    for _ in range(5):
        await retry(scenario.services, scenario.remediation.id)
        await scenario.run(MINUTE)

    await scenario.run(timedelta(hours=1))

    assert len(await list_wakeups(scenario, await scenario.read_job("Flow 0"))) == 1


async def test_job_in_a_long_queue_gets_few_additional_messages() -> None:
    scenario = await build_no_call_scenario()
    await make_due(scenario, await scenario.read_job("Flow 0"))
    before = scenario.fakes.messages.sent

    for _ in range(120):
        scenario.world.clock.advance(MINUTE)
        await send_due_and_overdue_messages(scenario.services)

    assert 1 <= scenario.fakes.messages.sent - before <= 7


async def test_job_continues_in_time_after_a_long_stop() -> None:
    scenario = await build_no_call_scenario()
    due = (await scenario.read_job("Flow 0")).next_check_at
    assert due is not None
    opens = due + timedelta(hours=36)
    await scenario.opt_in(maintenance_window=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")

    scenario.world.clock.advance_to(due + timedelta(hours=30))
    await scenario.run(timedelta(hours=7))

    job = await scenario.read_job("Flow 0")
    assert (job.state, job.history[-1].changed_at) == (FlowJobState.RETIRED, opens)


async def test_daily_check_writes_missing_wake_ups() -> None:
    """Earlier versions of the app stored rows without wake-ups."""
    scenario = await build_no_call_scenario(2)
    await scenario.services.tables.wake_ups.clear("wake_up")

    await run_daily_check(scenario.services, "2026-03-03")
    await scenario.run(timedelta(days=8))

    assert [job.state for job in (await scenario.read_jobs()).values()] == [
        FlowJobState.RETIRED
    ] * 2


async def test_health_counts_overdue_rows_without_a_wake_up() -> None:
    scenario = await build_no_call_scenario(2)
    before = await check_health(scenario.services)
    await scenario.services.tables.wake_ups.clear("wake_up")
    due = max(
        job.next_check_at or scenario.services.now for job in (await scenario.read_jobs()).values()
    )
    early = await check_health(scenario.services)
    scenario.world.clock.advance_to(due + 10 * MINUTE)

    late = await show_status(scenario.services)
    await run_daily_check(scenario.services, "today")
    after = await show_status(scenario.services)

    assert before.without_wake_up == early.without_wake_up == 0
    assert late.health.without_wake_up >= 2
    (waiting,) = [one for one in late.pending_actions if one.kind is PendingActionKind.WAKE_UP]
    assert waiting.count == late.health.without_wake_up
    assert "run_daily_check" in waiting.fix
    assert after.health.without_wake_up == 0
    assert PendingActionKind.WAKE_UP not in [one.kind for one in after.pending_actions]


async def test_concurrent_timers_lose_no_wake_up() -> None:
    """A second timer may write back the wake-ups that it read earlier."""
    scenario = await build_no_call_scenario()
    scenario.world.clock.advance(timedelta(days=6, hours=23, minutes=56))
    table = scenario.services.tables.wake_ups
    frozen = await table.read_all("wake_up")
    await send_due_messages(scenario.services)
    for reminder in frozen:  # as the second instance writes them
        await table.upsert(reminder)

    await send_due_messages(scenario.services)
    await scenario.run(timedelta(hours=1))

    assert (await scenario.read_job("Flow 0")).state is FlowJobState.RETIRED


async def test_health_counts_overdue_rows() -> None:
    scenario = await build_no_call_scenario(2)
    healthy = await check_health(scenario.services)
    due = max(
        job.next_check_at or scenario.services.now for job in (await scenario.read_jobs()).values()
    )

    scenario.world.clock.advance_to(due + MINUTE)

    assert healthy.overdue_rows == 0
    late = (await check_health(scenario.services)).overdue_rows
    assert late >= 2
    for name, row in scenario.fakes.store.rows.items():  # as if another version had stored them
        if name[0] == "wakeups":
            scenario.fakes.store.rows[name] = replace(row, columns={"chunks": 1, "data0": "{}"})
    assert (await check_health(scenario.services)).overdue_rows == late

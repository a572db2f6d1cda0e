"""Test cutovers and rollbacks if reads lag longer than configured."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import TransientError
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.flow_service import turn_off, turn_on
from tests.functional.scenarios.cutover_scenario import Pair, build_pair, turn_kill_switch_on

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def request_rollback(pair: Pair) -> None:
    await change_remediation.roll_back(pair.scenario.services, pair.scenario.remediation.id)


@pytest.mark.parametrize(
    ("lag", "seconds"), [(170.0, 61), (170.0, 169), (240.0, 150), (240.0, 200)]
)
@pytest.mark.parametrize("give_up", [turn_kill_switch_on, request_rollback])
async def test_original_is_turned_on_although_reads_lag_for_minutes(
    lag: float, seconds: int, give_up: Any
) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    await pair.run(timedelta(seconds=seconds))
    assert pair.on == (False, False)
    await give_up(pair)

    await pair.run(DAY)

    assert pair.on == (True, False)


async def build_both_off_pair(*, is_rolled_back: bool = False) -> Pair:
    """Return a pair of which both flows are off, although its job last saw one of them on."""
    pair = await build_pair()
    if is_rolled_back:
        await pair.run(timedelta(days=10))
    pair.reject_starts(pair.copy, pair.original)
    if is_rolled_back:
        await pair.scenario.roll_back(run=MINUTE)
    else:
        await pair.run(MINUTE)
    assert pair.on == (False, False)
    shown = pair.copy if is_rolled_back else pair.original
    turn_on(pair.scenario.world, shown, pair.scenario.build.owner)
    await pair.run(DAY)
    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.BLOCKED
    turn_off(pair.scenario.world, shown)
    return pair


@pytest.mark.parametrize("is_rolled_back", [False, True])
async def test_daily_check_reports_both_off_after_an_old_read(
    is_rolled_back: bool,
) -> None:
    pair = await build_both_off_pair(is_rolled_back=is_rolled_back)
    told = len(pair.scenario.fakes.notices.told)
    await send_due_and_overdue_messages(pair.scenario.services)

    await run_daily_check(pair.scenario.services, "2026-03-04")
    await pair.run(MINUTE)

    assert (await pair.scenario.read_job("Keyword")).reason_code == Reason.BOTH_OFF
    assert [one.reason_code for one in pair.scenario.fakes.notices.told[told:]] == [Reason.BOTH_OFF]
    pair.refusals.clear()
    await pair.run(15 * MINUTE)
    assert any(pair.on)


async def test_rollback_of_both_off_ignores_reads_and_kill_switch() -> None:
    pair = await build_both_off_pair()
    pair.refusals.clear()
    pair.scenario.world.assumptions.read_lag_seconds = (240.0, 240.0)
    turn_on(pair.scenario.world, pair.original, pair.scenario.build.owner)
    await pair.run(DAY)
    turn_off(pair.scenario.world, pair.original)
    await turn_kill_switch_on(pair)
    await request_rollback(pair)

    await pair.run(DAY)

    assert pair.on == (True, False)


async def test_retry_turns_on_the_original_that_this_job_turned_off() -> None:
    pair = await build_both_off_pair()

    await pair.scenario.retry(run=DAY)
    assert (await pair.scenario.read_job("Keyword")).reason_code == Reason.BOTH_OFF
    pair.refusals = {pair.copy.workflow_id: pair.refusals[pair.copy.workflow_id]}
    await pair.run(DAY)

    assert pair.on == (True, False)
    assert (await pair.scenario.read_job("Keyword")).original.was_on


@pytest.mark.parametrize(
    ("assumptions", "error", "code"),
    [
        ({}, TransientError("503"), Reason.FLOW_STATE_NOT_CHANGED),
        ({"read_lag_seconds": (240.0, 240.0)}, None, Reason.WRITE_NOT_VISIBLE),
    ],
    ids=["the copy alone gets no answer", "reads lag too long"],
)
async def test_cutover_that_would_fail_again_is_not_repeated(
    assumptions: dict[str, object], error: Exception | None, code: Reason
) -> None:
    pair = await build_pair(is_outside=True, **assumptions)
    if error:
        pair.reject_starts(pair.copy, error=error)

    await pair.run(DAY)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code, bool(job.fix)) == (FlowJobState.BLOCKED, code, True)
    assert pair.on == (True, False)
    assert pair.list_switches(pair.original).count(FlowState.OFF) == 1


async def test_late_read_of_a_copy_that_the_job_turned_off_is_ignored() -> None:
    pair = await build_pair(is_outside=True, read_lag_seconds=(170.0, 170.0))
    await pair.run(timedelta(seconds=151))
    await pair.scenario.retry()

    await pair.run(timedelta(minutes=30))

    assert pair.on == (True, False)

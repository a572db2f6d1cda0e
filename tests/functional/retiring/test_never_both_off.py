from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.alerts import send_alert
from shared.domain.durations import format_duration
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import PlatformError, ServiceUnavailable
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.check_health import check_health
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.show_remediation import show_remediation
from shared.use_cases.show_status import read_pending_actions
from tests.fakes.flow_service import turn_off, turn_on
from tests.fakes.invariants import find_flows_left_off
from tests.functional.scenarios.cutover_scenario import Pair, build_pair, turn_kill_switch_on
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.remediation_scenario import plan_remediation as plan

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LAGS = [0.0, 0.5, 3.0, 30.0, 60.0]


@pytest.mark.parametrize("lag", LAGS)
async def test_cutover_completes_although_reads_lag(lag: float) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))

    await pair.run(timedelta(days=40))

    job = await pair.scenario.read_job("Keyword")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert pair.on == (False, True)
    assert job.both_off_duration is not None
    assert job.both_off_duration < timedelta(seconds=3 * lag + 10)
    (cutover,) = [one.message for one in job.history if one.state == FlowJobState.MONITORING]
    duration = format_duration(job.both_off_duration)
    assert cutover == f"The copy is on. Both flows were off for {duration}."
    assert pair.scenario.fakes.notices.told == []


async def test_job_waits_until_the_write_is_visible() -> None:
    pair = await build_pair(read_lag_seconds=(60.0, 60.0))

    await pair.run(10 * SECOND)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.WRITE_NOT_VISIBLE)
    assert job.message == "Keyword turned off: accepted, but not visible yet."


@pytest.mark.parametrize("lag", LAGS)
async def test_original_is_turned_on_if_its_copy_cannot_be_turned_on(lag: float) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    pair.reject_starts(pair.copy)

    await pair.run(DAY)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.step, job.reason_code) == (
        FlowJobState.BLOCKED,
        FlowJobState.VERIFIED,
        "MissingAdequateQuotaPolicy",
    )
    assert pair.on == (True, False)
    assert job.both_off_since is None
    assert pair.scenario.fakes.notices.told == []

    pair.refusals.clear()
    await pair.scenario.retry()
    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.RETIRED
    assert pair.on == (False, True)


REFUSALS = [
    "CannotStartUnpublishedSolutionFlow",
    "ChildFlowNeverPublished",
    "ConnectionAuthorizationFailed",
    "DlpViolation",
    "InsufficientCdsPermissions",
    "MissingUserDetails",
    "XrmConnectionReferenceMissingConnection",
]


@pytest.mark.parametrize("code", REFUSALS)
async def test_rejected_start_leaves_a_flow_on_or_is_reported(
    code: str,
) -> None:
    error = PlatformError("as the platform words it", code=code, status=403)
    copy_refused, both_refused = await build_pair(), await build_pair()
    copy_refused.reject_starts(copy_refused.copy, error=error)
    both_refused.reject_starts(both_refused.copy, both_refused.original, error=error)

    await copy_refused.run(DAY)
    await both_refused.run(MINUTE)

    job = await copy_refused.scenario.read_job("Keyword")
    assert (job.state, job.reason_code, copy_refused.on) == (
        FlowJobState.BLOCKED,
        code,
        (True, False),
    )
    told = both_refused.scenario.fakes.notices.told
    assert [one.reason_code for one in told] == [Reason.BOTH_OFF]
    assert code in told[0].message


@pytest.mark.parametrize(
    ("times", "lag"), [(times, lag) for times in (1, 2, 3) for lag in LAGS if times * lag <= 120]
)
async def test_activation_without_effect_is_repeated(times: int, lag: float) -> None:
    pair = await build_pair(activations_that_do_not_stick=times, read_lag_seconds=(lag, lag))

    await pair.run(timedelta(days=40))

    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.RETIRED
    assert pair.on == (False, True)


async def test_job_is_blocked_with_original_on_if_the_copy_never_turns_on() -> None:
    pair = await build_pair()

    def reject_activation_of_copy(workflow_id: str) -> None:
        never = int(workflow_id == pair.copy.workflow_id)
        pair.scenario.world.assumptions.activations_that_do_not_stick = never

    pair.before = reject_activation_of_copy
    await pair.run(DAY)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.FLOW_STATE_NOT_CHANGED)
    assert pair.on == (True, False)


@pytest.mark.parametrize("lag", LAGS)
async def test_both_off_is_reported_at_once(lag: float) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    pair.reject_starts(pair.copy, pair.original)

    await pair.run(timedelta(seconds=3 * lag) + MINUTE)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.BOTH_OFF)
    assert job.message.startswith("Original and copy are both off since ")
    assert "Keyword, the copy of Keyword" in job.message
    assert job.fix.startswith("Turn Keyword on in Power Automate")
    assert "licence" in job.fix
    assert [one.reason_code for one in pair.scenario.fakes.notices.told] == [Reason.BOTH_OFF]
    assert (await check_health(pair.scenario.services)).alert_counts == {Reason.BOTH_OFF: 1}
    first = (await read_pending_actions(pair.scenario.services)).items[0]
    assert (first.kind, first.flows) == (PendingActionKind.BOTH_OFF, ("Keyword",))

    await pair.run(3 * DAY)
    assert (await pair.scenario.read_job("Keyword")).reason_code == Reason.BOTH_OFF
    assert [one.reason_code for one in pair.scenario.fakes.notices.told] == [Reason.BOTH_OFF]

    pair.refusals.clear()
    await pair.run(15 * MINUTE)
    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "MissingAdequateQuotaPolicy")
    assert pair.on == (True, False)
    assert [one.kind for one in (await read_pending_actions(pair.scenario.services)).items] == [
        PendingActionKind.FLOWS_BLOCKED
    ]
    await send_due_and_overdue_messages(pair.scenario.services)
    assert (await check_health(pair.scenario.services)).alert_counts == {}


async def test_both_off_is_first_in_every_list() -> None:
    pair = await build_pair()
    pair.reject_starts(pair.copy, pair.original)
    await pair.run(DAY)
    services, table = pair.scenario.services, pair.scenario.services.tables.flow_jobs
    job = await pair.scenario.read_job("Keyword")
    other = replace(
        job, id="0", display_name="Another", reason_code=Reason.INTERNAL_ERROR, next_check_at=None
    )
    await table.upsert(other)
    await send_alert(
        services, Reason.INTERNAL_ERROR, table.get_row_name(other), "for the order only"
    )

    shown = await show_remediation(services, pair.scenario.remediation.id)
    health = await check_health(services)

    assert [one.display_name for one in shown.flow_jobs] == ["Keyword", "Another"]
    assert shown.progress.both_off_count == 1
    assert list(health.alert_counts) == [Reason.BOTH_OFF, Reason.INTERNAL_ERROR]


async def test_copy_turned_off_during_monitoring_is_reported() -> None:
    pair = await build_pair()
    await pair.run(timedelta(hours=1))
    turn_off(pair.scenario.world, pair.copy)

    await pair.run(timedelta(days=10))

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.BOTH_OFF)
    assert "roll this job back" in job.fix
    assert [one.reason_code for one in pair.scenario.fakes.notices.told] == [Reason.BOTH_OFF]

    await pair.scenario.roll_back()
    assert pair.on == (True, False)


async def test_job_is_blocked_after_a_person_turns_the_original_on() -> None:
    pair = await build_pair()
    pair.reject_starts(pair.copy, pair.original)
    await pair.run(DAY)
    turn_on(pair.scenario.world, pair.original, pair.scenario.build.owner)

    await pair.run(15 * MINUTE)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "MissingAdequateQuotaPolicy")
    assert pair.on == (True, False)


async def test_original_that_a_person_turned_on_stays_on() -> None:
    pair = await build_pair()
    pair.reject_starts(pair.copy, pair.original)
    await pair.run(10 * SECOND)
    turn_on(pair.scenario.world, pair.original, pair.scenario.build.owner)

    await pair.run(15 * MINUTE)

    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.BLOCKED
    assert pair.list_switches(pair.original)[-1] is FlowState.ON


async def test_job_continues_after_a_person_turns_the_copy_on() -> None:
    pair = await build_pair()
    pair.reject_starts(pair.copy, pair.original)
    await pair.run(DAY)
    turn_on(pair.scenario.world, pair.copy, pair.scenario.build.owner)

    await pair.run(timedelta(days=10))

    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.RETIRED
    assert pair.on == (False, True)


async def forbid_writes(pair: Pair) -> None:
    pair.scenario.mode = ApprovalPolicy.READ_ONLY
    await pair.scenario.opt_in()


async def unlink(pair: Pair) -> None:
    pair.scenario.build.unlink()


@pytest.mark.parametrize("stop", [turn_kill_switch_on, forbid_writes, unlink])
async def test_original_is_turned_on_although_writes_are_stopped_during_a_cutover(
    stop: Any,
) -> None:
    pair = await build_pair(read_lag_seconds=(30.0, 30.0))
    await pair.run(SECOND)
    assert pair.on == (False, False)
    await stop(pair)

    await pair.run(DAY)

    assert pair.on == (True, False)
    job = await pair.scenario.read_job("Keyword")
    assert job.state in {FlowJobState.WAITING, FlowJobState.BLOCKED}
    assert job.reason_code in {
        Reason.KILL_SWITCH_ON,
        Reason.ENVIRONMENT_READ_ONLY,
        Reason.KEY_NOT_APPLIED,
    }
    assert pair.list_switches(pair.copy) == []


async def test_platform_migration_during_a_cutover_is_reported_at_once() -> None:
    """The platform rejects all writes during its migration."""
    pair = await build_pair(read_lag_seconds=(30.0, 30.0))
    await pair.run(SECOND)
    pair.scenario.build.environment.is_migrating = True

    await pair.run(MINUTE)
    assert pair.on == (False, False)
    assert [one.reason_code for one in pair.scenario.fakes.notices.told] == [Reason.BOTH_OFF]
    pair.scenario.build.environment.is_migrating = False
    pair.reject_starts(pair.copy)
    await pair.run(DAY)

    assert pair.on == (True, False)


async def test_outage_during_a_cutover_is_reported_after_minutes() -> None:
    pair = await build_pair()
    pair.reject_starts(pair.copy, pair.original, error=ServiceUnavailable("no answer"))

    await pair.run(2 * MINUTE)
    early = list(pair.scenario.fakes.notices.told)
    await pair.run(timedelta(hours=6))
    assert early == []
    assert [one.reason_code for one in pair.scenario.fakes.notices.told] == [Reason.BOTH_OFF]
    pair.refusals.clear()
    await pair.run(timedelta(hours=1))

    assert find_flows_left_off(pair.scenario.world, [pair.original.workflow_id]) == []


@pytest.mark.parametrize("lag", LAGS)
async def test_rollback_leaves_the_copy_on_if_the_original_cannot_be_turned_on(lag: float) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    await pair.run(timedelta(days=10))
    pair.reject_starts(pair.original)
    assert pair.on == (False, True)

    await pair.scenario.roll_back(run=DAY)

    job = await pair.scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "MissingAdequateQuotaPolicy")
    assert pair.on == (False, True)
    pair.refusals.clear()
    await pair.scenario.retry()
    assert (await pair.scenario.read_job("Keyword")).state is FlowJobState.ROLLED_BACK
    assert pair.on == (True, False)


@pytest.mark.parametrize("lag", LAGS)
async def test_rollback_during_a_cutover_turns_the_original_on_although_reads_lag(
    lag: float,
) -> None:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    pair.reject_starts(pair.copy, error=ServiceUnavailable("no answer"))
    await pair.run(SECOND)
    assert pair.on == (False, False)
    await turn_kill_switch_on(pair)
    await change_remediation.roll_back(pair.scenario.services, pair.scenario.remediation.id)

    await pair.run(DAY)

    assert pair.on == (True, False)


@pytest.mark.parametrize("lag", LAGS)
async def test_rollback_right_after_a_retirement_turns_the_original_on(lag: float) -> None:
    """Late reads still show the retired original as on."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    scenario.world.assumptions.read_lag_seconds = (lag, lag)
    await plan(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.RETIRED)
    scenario.world.traffic.beat(scenario.world)

    await scenario.roll_back()
    scenario.world.traffic.beat(scenario.world)

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on
    assert scenario.world.traffic.lost_calls == []


async def test_original_stays_on_if_a_migration_rejects_turning_it_off() -> None:
    pair = await build_pair()
    pair.scenario.build.environment.is_migrating = True

    await pair.run(timedelta(hours=1))

    assert (
        await pair.scenario.read_job("Keyword")
    ).reason_code == Reason.PLATFORM_MIGRATION_RUNNING
    assert pair.on == (True, False)
    assert pair.scenario.fakes.notices.told == []

"""Each change causes one notification: blocked, retried, blocked again, completed."""

from datetime import timedelta

import pytest

from shared.alerts import tell
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.plans.pending_actions import PendingActionKind
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.show_status import read_pending_actions
from tests.functional.app.test_notify import TOGETHER, Heard, block, look, under_way
from tests.functional.scenarios.remediation_scenario import Scenario

BLOCKED, COMPLETED = PendingActionKind.FLOWS_BLOCKED, PendingActionKind.REMEDIATION_COMPLETED
FLOWS = ("Orders", "Returns", "Stock")


@pytest.fixture
async def scenario() -> Scenario:
    """A remediation of three flows in progress."""
    scenario = Scenario()
    for title in FLOWS:
        scenario.build.http_flow(title)
    scenario.build.link()
    await scenario.opt_in()
    await under_way(scenario)
    return scenario


def received(channel: Heard) -> list[PendingActionKind]:
    """Return the kinds of notifications that a channel got about the remediation."""
    return [cause for cause in channel.causes if cause in {BLOCKED, COMPLETED}]


async def block_all(scenario: Scenario, *channels: Heard) -> None:
    """Block every flow, which completes the environment job, and send what is due."""
    await block(scenario, *FLOWS)
    await scenario.run(timedelta(hours=12))
    assert (await scenario.environment_job()).state is EnvironmentJobState.COMPLETED
    await look(scenario, *channels)
    await look(scenario, *channels, after=TOGETHER)


async def retry(scenario: Scenario, *channels: Heard, days: int) -> None:
    """Retry, and send what is due every twelve hours."""
    await scenario.retry(run=timedelta(hours=1))
    for _ in range(2 * days):
        await look(scenario, *channels)
        await scenario.run(timedelta(hours=12))
    await look(scenario, *channels)


async def test_completed_job_with_blocked_flows_is_one_message(scenario: Scenario) -> None:
    """The notification about blocked flows is enough, so there is none about the completion."""
    heard = Heard()
    await block_all(scenario, heard)
    for _ in range(3):
        await look(scenario, heard, after=timedelta(minutes=1))

    (one,) = heard.told
    assert (one.pending_action.kind, one.pending_action.count) == (BLOCKED, 3)


async def test_end_after_a_retry_is_one_message_however_late(scenario: Scenario) -> None:
    """The notification about the completion is sent when the last flow is migrated."""
    heard = Heard()
    await block_all(scenario, heard)
    await retry(scenario, heard, days=6)
    in_progress = received(heard)
    await retry(scenario, heard, days=6)

    assert in_progress == [BLOCKED]
    assert received(heard) == [BLOCKED, COMPLETED]
    (ended,) = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert ended.title.endswith("is complete: every flow is migrated")


async def test_retry_that_blocks_again_is_a_message_again(scenario: Scenario) -> None:
    """Flows that are blocked again, and their completion, cause one notification each."""
    heard = Heard()
    await block_all(scenario, heard)
    await retry(scenario, heard, days=1)
    await block_all(scenario, heard)
    await retry(scenario, heard, days=10)

    assert received(heard) == [BLOCKED, BLOCKED, COMPLETED]


async def test_retry_that_blocks_again_at_once_is_a_message_again(scenario: Scenario) -> None:
    """Flows that are blocked again before the timer runs cause a new notification."""
    heard = Heard()
    await block_all(scenario, heard)
    scenario.world.clock.advance(timedelta(minutes=1))
    for title in FLOWS:
        await change_remediation.retry_job(scenario.services, await scenario.job(title))
    await block(scenario, *FLOWS)
    await look(scenario, heard)
    at_once = received(heard)
    for _ in range(3):
        await look(scenario, heard, after=TOGETHER)

    assert at_once == [BLOCKED]
    assert received(heard) == [BLOCKED, BLOCKED]
    assert len({one.id for one in heard.told}) == 2


async def test_channel_that_was_out_gets_the_situation_of_the_present(scenario: Scenario) -> None:
    """The channel gets the current situation only, and the completion once."""
    heard, out = Heard(), Heard(name="out", is_out=True)
    await block_all(scenario, heard, out)
    await retry(scenario, heard, out, days=2)
    await block_all(scenario, heard, out)
    out.is_out = False
    await look(scenario, heard, out, after=timedelta(hours=2))
    now_blocked = received(out)
    await retry(scenario, heard, out, days=6)
    out.is_out = True
    await retry(scenario, heard, out, days=4)
    out.is_out = False
    for _ in range(3):
        await look(scenario, heard, out, after=timedelta(hours=2))

    assert now_blocked == [BLOCKED]
    assert received(out) == [BLOCKED, COMPLETED]
    assert received(heard) == [BLOCKED, BLOCKED, COMPLETED]


async def test_channel_that_stays_out_is_given_up_after_a_week(scenario: Scenario) -> None:
    """The app deletes the row of a completed remediation after a week of failures."""
    heard, out = Heard(), Heard(name="out", is_out=True)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await look(scenario, heard, out)
    assert heard.causes.count(COMPLETED) == 1
    for _ in range(8):
        await look(scenario, heard, out, after=timedelta(days=1))

    rows = await scenario.services.tables.notification_deliveries.all("notification_delivery")
    ended = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert {one.id for one in ended}.isdisjoint(row.pending_action_id for row in rows)


async def test_cancelled_flows_are_one_message_when_they_are_rolled_back(
    scenario: Scenario,
) -> None:
    """The notification is sent when all flows are rolled back."""
    heard = Heard()
    await scenario.driver.call(
        lambda services: change_remediation.cancel(services, scenario.remediation.id)
    )
    await look(scenario, heard)
    in_progress = received(heard)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await look(scenario, heard)

    (ended,) = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert in_progress == []
    assert ended.count == 3
    assert ended.message == "Not migrated: 3 rolled back."


async def test_cancelled_plan_is_not_called_complete() -> None:
    """The title says that the remediation was cancelled."""
    scenario, heard = Scenario(), Heard()
    scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.driver.call(
        lambda services: change_remediation.cancel(services, scenario.remediation.id)
    )
    await look(scenario, heard)

    (ended,) = [one.pending_action for one in heard.told]
    environment = scenario.build.environment.display_name
    title = f"The remediation in {environment} was cancelled: 1 flow not migrated"
    assert ended.title == title


async def test_plan_without_work_is_one_message() -> None:
    """The notification about flows that need changes is the only one."""
    scenario, heard = Scenario(), Heard()
    scenario.build.admin_list_flow("List of flows")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    assert (await scenario.environment_job()).state is EnvironmentJobState.COMPLETED

    await look(scenario, heard)

    assert heard.causes == [PendingActionKind.NEEDS_CHANGES]


async def test_failed_flow_is_one_action(scenario: Scenario) -> None:
    """The blocked flow is listed once, although there is also an alert about its row."""
    job = await scenario.job("Orders")
    failed = stop_with_reason(
        job, FlowJobState.FAILED, "A bug.", "Report it.",
        code=Reason.INTERNAL_ERROR, now=scenario.services.now,
    )  # fmt: skip
    table = scenario.services.tables.flow_jobs
    await table.upsert(failed)
    await tell(scenario.services, Reason.INTERNAL_ERROR, table.name_of(failed), failed.message)
    one = (await read_pending_actions(scenario.services)).items
    await table.upsert(job)
    without_job = (await read_pending_actions(scenario.services)).items

    assert [action.kind for action in one] == [BLOCKED]
    assert [action.kind for action in without_job] == [PendingActionKind.ALERT]

"""Preparations for a key that are rolled back or cancelled."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.fakes.snapshot import differences, take_snapshot
from tests.functional.preparing.prepare_story import PREPARE, input_flow
from tests.functional.scenarios.remediation_scenario import Story

HOUR = timedelta(hours=1)


async def test_a_rollback_writes_the_definition_back() -> None:
    """Byte for byte; that it stays in the solution is said."""
    story = Story()
    app = input_flow(story)
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order(PREPARE, app.workflow_id)
    await story.approve(run=HOUR)

    await story.roll_back(run=HOUR)

    job = await story.job("App")
    assert job.state is FlowJobState.ROLLED_BACK, job.history
    assert "stays in the solution" in job.history[-1].text
    assert differences(before, story.world) == []


async def test_a_rollback_takes_no_old_read_for_a_definition_that_was_written_back() -> None:
    """Ordered a moment after the conversion, which reads do not show yet."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    before = take_snapshot(story.world)
    story.world.assumptions.read_lag_seconds = (50, 50)
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=timedelta(seconds=10))
    assert "ListFlowsInEnvironment_V2" in admin.client_data

    await story.roll_back(run=HOUR)

    assert (await story.job("Admin")).state is FlowJobState.ROLLED_BACK
    assert differences(before, story.world) == []


@pytest.mark.parametrize("undo", [change_remediation.roll_back, change_remediation.cancel])
async def test_a_conversion_that_is_frozen_is_waited_for(
    undo: Callable[[Services, str], Awaitable[object]],
) -> None:
    """It wakes after the order, and finds the definition that it had read."""
    story = Story()
    story.build.admin_list_flow("Admin")
    before = take_snapshot(story.world)
    pause = _BeforeUpdate(sleeps=timedelta(minutes=9), clock=story.world.clock)
    story.driver = Driver(twins=story.twins, make=story.make, plan=pause)
    await story.opt_in()
    named = [flow.workflow_id for flow in story.world.flows()]
    await story.order(PREPARE, *named)
    await story.approve(run=timedelta(minutes=1))
    assert pause.is_asleep

    await undo(story.services, story.remediation.id)
    await story.run(HOUR)

    assert not pause.is_asleep
    assert (await story.job("Admin")).state is FlowJobState.ROLLED_BACK
    assert differences(before, story.world) == []


class _BeforeUpdate(Pause):
    """Freezes the process before it writes a definition."""

    def enter(self, name: str) -> int:
        if name == "WorkflowsTwin.update" and self.at is None:
            self.at = self.calls + 1
        return Pause.enter(self, name)


async def test_a_rollback_of_adding_to_a_solution_says_that_it_stays() -> None:
    """There is nothing else to undo."""
    story = Story()
    app = story.build.power_apps_v1_flow("App")
    await story.opt_in()
    await story.order(PREPARE)
    await story.approve(run=HOUR)

    await story.roll_back(run=HOUR)

    assert "stays in the solution" in (await story.job("App")).history[-1].text
    assert app.in_solution


async def test_an_edit_after_the_conversion_is_a_conflict_for_a_person() -> None:
    """Writing the old definition back would undo the edit."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=HOUR)
    extra = '"Extra":{"type":"Compose","inputs":1},"Lineage":{'
    admin.client_data = admin.client_data.replace('"Lineage":{', extra, 1)

    await story.roll_back(run=HOUR)

    job = await story.job("Admin")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, "converted_flow_edited")
    assert job.archive in job.instruction
    assert "Extra" in admin.client_data


async def test_cancelling_leaves_what_is_done_as_it_is() -> None:
    """Cancelling is for what was not done."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=HOUR)

    await story.driver.call(lambda s: change_remediation.cancel(s, story.remediation.id))
    await story.run(HOUR)

    assert (await story.job("Admin")).state is FlowJobState.PREPARED

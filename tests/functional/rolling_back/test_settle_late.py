"""What a delivery does that was frozen for longer than the host allows: the sweep puts it right."""

import copy
from datetime import timedelta

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.sharing import is_lent
from tests.functional.rolling_back.frozen_delivery import MINUTE, freeze, make_story
from tests.functional.scenarios.remediation_scenario import Story


def lent(story: Story) -> list[str]:
    """Return the flows that the operator may edit."""
    return [flow.name for flow in story.world.flows() if is_lent(story.world, flow)]


@pytest.mark.parametrize("number", [1, 2], ids=["its original", "its copy"])
async def test_operator_that_was_given_a_flow_late_is_taken_off_it(number: int) -> None:
    """The rollback has ended half an hour before; the sweep looks at what the job ever lent."""
    story = make_story(lambda story: story.build.secret_caller(story.build.http_flow("Orders")))
    await freeze(story, "FlowSharingTwin.grant", number, sleeps=60 * MINUTE)
    await story.roll_back(run=timedelta(hours=3))
    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert lent(story) != []

    await story.driver.call(lambda s: run_daily_check(s, "today"))

    assert lent(story) == []
    assert Reason.GRANT_NOT_REVOKED not in [told.code for told in story.twins.notices.told]


async def test_job_that_was_made_late_is_cancelled() -> None:
    """A dispatch was frozen before it stored the job, and woke after the rollback."""
    story = make_story(lambda story: story.build.keyword_flow("Orders"))
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    story.renew()
    other = copy.deepcopy(story)
    planned = await other.until("Orders", FlowJobState.PLANNED)
    await story.roll_back(run=timedelta(hours=3))
    assert await story.jobs() == {}
    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED
    await story.services.tables.flow_jobs.insert(planned)
    await story.run(timedelta(hours=1))
    assert (await story.job("Orders")).state is FlowJobState.PLANNED

    await story.driver.call(lambda s: run_daily_check(s, "today"))
    await story.run(timedelta(hours=1))

    assert (await story.job("Orders")).state is FlowJobState.CANCELLED
    assert [flow.name for flow in story.world.flows()] == ["Orders"]


async def test_sweep_leaves_what_goes_on_alone() -> None:
    """A job of a remediation under way is not cancelled, and no flow is asked for again."""
    story = make_story(lambda story: story.build.secret_caller(story.build.http_flow("Orders")))
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))

    await story.driver.call(lambda s: run_daily_check(s, "today"))
    await story.run(timedelta(days=3))

    assert (await story.job("Orders")).state is FlowJobState.RETIRED

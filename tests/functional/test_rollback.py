"""Undo on twins: every caller byte for byte what it was, the original on, the copy off."""

from datetime import timedelta

from shared.domain.job import JobState
from shared.use_cases import decide_plan
from tests.functional.remediation_story import Story
from tests.twins.snapshot import differences, take_snapshot


async def test_a_retired_flow_is_rolled_back_to_the_byte() -> None:
    """After the rollback the callers read as before, the original is on and the copy is off."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    story.build.secret_caller(orders)
    story.build.flow_caller(orders)
    story.build.variable_caller(orders)
    story.build.link()
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order()
    await story.approve()

    await story.driver.call(lambda s: decide_plan.roll_back(s, story.remediation.id))
    await story.run(timedelta(days=60))

    job = (await story.jobs())["Orders"]
    assert job.state is JobState.ROLLED_BACK, (job.reason, job.history)
    assert orders.is_on
    assert not story.world.workflow(orders.environment_id, job.copy_id).is_on
    assert differences(before, story.world) == []

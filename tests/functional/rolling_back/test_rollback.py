"""Undo on twins: every caller byte for byte what it was, the original on, the copy off."""

from datetime import timedelta

from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import TwinFlow, TwinRun
from tests.functional.scenarios.remediation_scenario import Story, on_both_platforms

#: Longer than a copy has to be quiet.
LONG = timedelta(days=9)


def begin_run(story: Story, flow: TwinFlow) -> None:
    """Let a run begin that waits for days before it calls what its flow called then."""
    now = story.world.clock.now()
    flow.runs.append(TwinRun(run_id=story.world.guid(), started=now, ends=now + LONG))


@on_both_platforms
async def test_a_retired_flow_is_rolled_back_to_the_byte(profile: Profile) -> None:
    """After the rollback the callers read as before, the original is on and the copy is off."""
    story = Story(profile=profile)
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

    await story.driver.call(lambda s: change_remediation.roll_back(s, story.remediation.id))
    await story.run(timedelta(days=60))

    job = (await story.jobs())["Orders"]
    assert job.state is FlowJobState.ROLLED_BACK, (job.reason, job.history)
    assert orders.is_on
    assert not story.world.workflow(orders.environment_id, job.copy_id).is_on
    assert differences(before, story.world) == []


async def test_a_copy_stays_on_while_a_run_of_a_caller_from_before_goes_on() -> None:
    """The run holds the copy's URL, and calls it after the quiet days."""
    story = Story()
    orders = story.build.http_flow("Orders")
    caller = story.build.flow_caller(orders)
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve()
    begin_run(story, caller)

    await story.roll_back(run=LONG - timedelta(hours=1))
    before = await story.job("Orders")
    was_on = story.world.workflow(orders.environment_id, before.copy_id).is_on
    await story.run(timedelta(days=1))

    assert "from before its change" in before.reason
    assert was_on
    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK


async def test_a_copy_stays_on_while_a_run_of_its_parents_copy_goes_on() -> None:
    """The parent's copy starts by itself and is off at once; its run calls the child later."""
    story = Story()
    child = story.build.http_flow("Child")
    story.build.parent("Nightly", child)
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve()
    parent = await story.job("Nightly")
    begin_run(story, story.world.workflow(child.environment_id, parent.copy_id))

    await story.roll_back(run=LONG - timedelta(hours=1))
    before = await story.job("Child")
    was_on = story.world.workflow(child.environment_id, before.copy_id).is_on
    await story.run(timedelta(days=1))

    assert "from before its change" in before.reason
    assert was_on
    assert (await story.job("Child")).state is FlowJobState.ROLLED_BACK

"""What a look before a delete lends the operator is returned, also where no look follows."""

from datetime import timedelta

from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import cancel_deletions
from tests.fakes.crash import was_killed
from tests.functional.deleting.deletion_story import DAY, MINUTE, order, original
from tests.functional.scenarios.remediation_scenario import Story, kill_after


async def hidden_story() -> Story:
    """Return a story with one delete that is due, of an original that the app is not shown."""
    story = Story()
    assumptions = story.world.assumptions
    assumptions.my_flows_have_rows = False
    assumptions.definitions_hidden_from_administrators = True
    flow = story.build.http_flow("Orders")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    story.build.link()
    story.build.share_connections()
    await story.opt_in()
    await story.order()
    await story.approve(run=25 * DAY)
    assert (await story.job("Orders")).state is FlowJobState.RETIRED
    await order(story)
    await story.run(DAY + MINUTE)
    return story


async def test_a_loan_of_a_look_that_died_is_returned_though_the_original_is_kept() -> None:
    """Its job is retired, so that no step of it comes; the timer finds it in some hours."""
    story = await hidden_story()
    orders = original(story, "Orders")
    plan = kill_after(story, "FlowAccessTwin.grant")
    for _ in range(10):
        try:
            await story.driver.call(delete_originals)
        except BaseException as error:
            if not was_killed(error):
                raise
            break
        await story.run(MINUTE)
    assert plan.has_struck
    assert orders.co_owners
    await cancel_deletions(story.services, story.remediation.id, (), by="keeper")

    await story.run(timedelta(hours=3))

    assert orders.co_owners == {}
    assert not (await story.job("Orders")).has_grants

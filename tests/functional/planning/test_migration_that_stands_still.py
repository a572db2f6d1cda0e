"""A migration that does not end: the wait does, and says which flows it waited for."""

from datetime import timedelta

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.tenant import TwinFlow
from tests.functional.scenarios.remediation_scenario import Story

DAY = timedelta(days=1)


async def story_that_stands_still() -> tuple[Story, TwinFlow]:
    """Return a story whose order waits for one flow that could move and does not."""
    story = Story()
    story.build.http_flow("Orders")
    stuck = story.build.polling_flow("Mail")
    story.build.link(migrated=False)
    await story.opt_in()
    await story.order()
    return story, stuck


async def test_a_migration_is_waited_for_as_long_as_it_may_take() -> None:
    """Four days are nothing unusual; when it ends, the plan is made."""
    story, _ = await story_that_stands_still()
    await story.run(4 * DAY - timedelta(hours=2))
    waiting = await story.environment_job()
    assert waiting.state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    assert waiting.due is not None

    story.build.migrate()
    await story.run(timedelta(hours=1))

    assert (await story.environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


async def test_a_migration_that_stands_still_blocks_with_the_flows_and_what_to_do() -> None:
    """Nothing is written; a retry waits anew, and goes on by itself once they have moved."""
    story, stuck = await story_that_stands_still()

    await story.run(5 * DAY)

    blocked = await story.environment_job()
    assert blocked.state is EnvironmentJobState.BLOCKED
    assert f"Mail ({stuck.flow_name})" in blocked.reason
    assert "Orders" not in blocked.reason
    assert "ticket" in blocked.instruction
    assert "exclude" in blocked.instruction
    assert story.world.writes == []

    await story.retry(run=DAY)
    waiting = await story.environment_job()
    story.build.migrate()
    await story.run(DAY)

    assert waiting.state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    assert (await story.environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


async def test_flows_that_are_excluded_are_not_waited_for() -> None:
    """The others are copied meanwhile, once the platform takes writes again."""
    story, stuck = await story_that_stands_still()
    story.build.environment.is_migrating = False
    await story.run(5 * DAY)
    await story.opt_in(excluded_flows=frozenset({stuck.workflow_id}))

    await story.retry(run=DAY)
    plan = await story.plan()
    await story.approve()

    assert {name: item.action for name, item in plan.items()} == {"Orders": PlannedAction.COPY}
    assert (await story.job("Orders")).state is FlowJobState.RETIRED


async def test_an_edited_flow_that_does_not_move_holds_up_the_next_remediation_for_days_only() -> (
    None
):
    """Whether the platform moves a flow that was changed to V2 is an assumption."""
    story = Story()
    story.world.assumptions.edited_flows_migrate = False
    admin = story.build.admin_list_flow("Admin")
    story.build.link()
    await story.opt_in()
    await story.order(RemediationMode.APPLY, admin.workflow_id)
    await story.approve(run=DAY)
    assert (await story.job("Admin")).state is FlowJobState.PREPARED

    await story.order(cause="order-2")
    await story.run(5 * DAY)

    blocked = await story.environment_job()
    assert blocked.state is EnvironmentJobState.BLOCKED
    assert "Admin" in blocked.reason

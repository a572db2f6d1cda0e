"""Families on twins: who is told that a job is stuck, and whose child a flow's id means."""

from datetime import timedelta

from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.tenant import TwinRun
from tests.functional.scenarios.remediation_scenario import Story, approve_shown


async def test_a_parent_that_waits_for_a_child_learns_that_it_is_stuck() -> None:
    """Within the hour the parent says which child has to be settled, instead of waiting on."""
    story = Story()
    somebody = story.world.add_user("Somebody")
    story.build.connection("mail", "shared_office365", owner=somebody)
    child = story.build.flow(
        "Child",
        define.http_trigger(),
        {"Answer": define.response_action()},
        owner=somebody,
        connections={"mail": "shared_office365"},
    )
    story.build.environment.connections["mail"].owner_id = story.build.owner.user_id
    story.build.parent("Parent", child, trigger=define.http_trigger())
    story.build.link()
    await story.opt_in()
    await story.order()

    await approve_shown(story.services, story.remediation.id)
    await story.run(timedelta(hours=1))

    jobs = await story.jobs()
    assert jobs["Child"].state is FlowJobState.BLOCKED, jobs["Child"].history
    assert jobs["Parent"].state is FlowJobState.BLOCKED, jobs["Parent"].history
    assert jobs["Parent"].code == "child_flow_not_ready"
    assert "Child" in jobs["Parent"].instruction


async def test_the_same_solution_in_another_environment_is_left_alone() -> None:
    """A workflow keeps its id when it is imported: a parent there runs the child that is there."""
    story = Story()
    child = story.build.http_flow("Child", {"Answer": define.response_action()})
    neighbour = Builder(story.world, name="Test")
    call = define.child_flow_action(child.workflow_id)
    twin = neighbour.flow("Parent", define.request_trigger("Button"), {"Run": call}, is_on=False)
    before = twin.client_data
    own = EnvironmentSettings(
        environment_id=neighbour.environment.id, mode=ApprovalPolicy.AUTOMATIC
    )
    await story.services.tables.environment_settings.upsert(own)
    story.build.link()
    await story.opt_in()

    await story.order()
    planned = (await story.plan())["Child"]
    await story.approve()

    assert (await story.jobs())["Child"].state is FlowJobState.RETIRED
    assert planned.callers == ()
    assert twin.client_data == before


async def test_a_child_stays_on_while_a_run_of_its_stopped_parent_goes_on() -> None:
    """It began after the child's callers had moved, before the parent was swapped."""
    story = Story()
    child = story.build.http_flow("Child")
    nightly = story.build.parent("Nightly", child)
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    await story.until("Nightly", FlowJobState.CUTTING_OVER)
    assert (await story.job("Child")).cut_over_at is not None
    story.world.clock.advance(timedelta(minutes=1))
    now, long = story.world.clock.now(), timedelta(days=20)
    assert nightly.is_on
    nightly.runs.append(TwinRun(run_id="long", started=now, ends=now + long))

    await story.run(long - timedelta(hours=1))
    was_on, reason = child.is_on, (await story.job("Child")).reason
    await story.run(timedelta(days=1))

    assert was_on
    assert "from before its change" in reason
    assert (await story.job("Child")).state is FlowJobState.RETIRED

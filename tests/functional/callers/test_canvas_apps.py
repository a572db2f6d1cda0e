"""Canvas apps as callers: nobody but their makers can point them at a copy."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.assessment.snapshots import CanvasApp
from shared.domain.callers.caller import CallerContent
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.fakes.tenant import TwinFlow
from tests.functional.scenarios.remediation_scenario import Story, planned

DAY = timedelta(days=1)


def app_on(story: Story, *flow_ids: str, gap: str = "") -> CanvasApp:
    """Add an app that uses these flows."""
    app = CanvasApp(
        name="app-1",
        display_name="Requests",
        owner="Alex",
        flow_ids=frozenset(flow_ids),
        gap=gap,
    )
    story.build.environment.canvas_apps.append(app)
    return app


def point_at(story: Story, *flow_ids: str) -> None:
    """Do what the maker does in Power Apps Studio."""
    apps = story.build.environment.canvas_apps
    apps[0] = replace(apps[0], flow_ids=frozenset(flow_ids))


async def applied(story: Story) -> None:
    """Link, opt in, plan, approve, and let time pass until nothing moves any more."""
    await planned(story)
    await story.approve()


def by_workflow_id(flow: TwinFlow) -> str:
    """Name a flow as Dataverse does."""
    return flow.workflow_id


def by_flow_name(flow: TwinFlow) -> str:
    """Name a flow as the flow service does."""
    return flow.flow_name.upper().lower()


@pytest.mark.parametrize("name", [by_workflow_id, by_flow_name])
async def test_an_app_keeps_its_flow_until_its_maker_has_changed_it(name: object) -> None:
    """The job is blocked with an instruction for the maker; a retry goes on once it is done."""
    story = Story()
    form = story.build.power_apps_v1_flow("Old form")
    app_on(story, name(form))  # type: ignore[operator]  # one of the two functions above

    await applied(story)
    blocked = await story.job("Old form")
    was_on = form.is_on
    point_at(story, blocked.copy_id)
    await story.retry()

    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "canvas app Requests of Alex" in blocked.reason
    assert "publishes the app" in blocked.instruction
    assert was_on
    assert (await story.job("Old form")).state is FlowJobState.RETIRED
    assert not form.is_on
    assert not form.in_solution
    assert story.world.workflow(blocked.environment_id, blocked.copy_id).in_solution


async def test_the_sweep_goes_on_by_itself_once_the_app_was_changed() -> None:
    """Nobody has to tell the app; before that the sweep leaves the job as it is."""
    story = Story()
    form = story.build.power_apps_v1_flow("Old form")
    app_on(story, form.workflow_id)
    await applied(story)
    before = await story.job("Old form")

    await story.driver.call(lambda services: run_daily_check(services, "day-1"))
    await story.run(DAY)
    still = await story.job("Old form")
    point_at(story, before.copy_id)
    await story.driver.call(lambda services: run_daily_check(services, "day-2"))
    await story.run(DAY)

    assert still.history == before.history
    assert (await story.job("Old form")).state is FlowJobState.RETIRED


async def test_an_app_on_a_v2_flow_that_is_copied_as_a_parent_is_found() -> None:
    """Such a flow would move by itself; it stays because of its child, and so does the app."""
    story = Story()
    child = story.build.http_flow("Child", {"Answer": define.response_action()})
    parent = story.build.parent("Form", child, trigger=define.request_trigger("PowerAppV2"))
    app_on(story, parent.workflow_id)

    await applied(story)

    jobs = await story.jobs()
    assert (jobs["Form"].state, jobs["Form"].code) == (FlowJobState.BLOCKED, "manual_caller")
    assert jobs["Child"].state is not FlowJobState.RETIRED
    assert parent.is_on
    assert child.is_on


async def test_an_app_whose_document_cannot_be_read_is_named_in_the_plan() -> None:
    """It may call any flow: the plan says so, in place of silence."""
    story = Story()
    story.build.power_apps_v1_flow("Old form")
    app_on(story, gap="The document of the app Requests could not be read (NotFound).")

    await applied(story)

    findings = (await story.environment_job()).findings
    assert any("canvas_app" in one and "the app Requests" in one for one in findings)


async def test_a_rollback_waits_for_the_maker_before_it_stops_the_copy() -> None:
    """The app calls the copy by now: it stays on until the app was put back."""
    story = Story()
    form = story.build.power_apps_v1_flow("Old form")
    app_on(story, form.workflow_id)
    await applied(story)
    copy_id = (await story.job("Old form")).copy_id
    point_at(story, copy_id)
    await story.retry()

    await story.roll_back()
    blocked = await story.job("Old form")
    copy_was_on = story.world.workflow(form.environment_id, copy_id).is_on
    await story.driver.call(lambda services: run_daily_check(services, "before"))
    await story.run(DAY)
    still = await story.job("Old form")
    point_at(story, form.workflow_id)
    await story.driver.call(lambda services: run_daily_check(services, "after"))
    await story.run(DAY)

    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "manual_caller")
    assert still.history == blocked.history
    assert copy_was_on
    assert form.is_on
    assert (await story.job("Old form")).state is FlowJobState.ROLLED_BACK
    assert not story.world.workflow(form.environment_id, copy_id).is_on


async def test_an_app_is_never_written() -> None:
    """The platform has no interface for it: a write is refused with the instruction."""
    story = Story()
    form = story.build.power_apps_v1_flow("Old form")
    app_on(story, form.workflow_id)
    kind = story.services.callers["canvas_app"]
    [caller] = [one async for one in kind.find([story.build.environment.described()])]

    with pytest.raises(JobBlocked, match="Requests"):
        await kind.write(caller, CallerContent(text="[]"))

    assert form.workflow_id in (await kind.read(caller)).text

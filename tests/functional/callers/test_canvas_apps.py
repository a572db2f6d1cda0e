"""Test canvas apps, which only their makers can change."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.callers.caller import CallerContent
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.power_apps import CanvasApp
from shared.errors import JobBlocked
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve

DAY = timedelta(days=1)


def add_app(scenario: Scenario, *flow_ids: str, gap: str = "") -> CanvasApp:
    app = CanvasApp(
        name="app-1",
        display_name="Requests",
        owner="Alex",
        flow_ids=frozenset(flow_ids),
        unknown_reason=gap,
    )
    scenario.build.environment.canvas_apps.append(app)
    return app


def point_app_at(scenario: Scenario, *flow_ids: str) -> None:
    apps = scenario.build.environment.canvas_apps
    apps[0] = replace(apps[0], flow_ids=frozenset(flow_ids))


def get_workflow_id(flow: FakeFlow) -> str:
    return flow.workflow_id


def get_flow_name(flow: FakeFlow) -> str:
    return flow.flow_name.upper().lower()


@pytest.mark.parametrize("name", [get_workflow_id, get_flow_name])
async def test_original_is_retired_after_the_maker_changes_the_canvas_app(name: object) -> None:
    scenario = Scenario()
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, name(form))  # type: ignore[operator]  # one of the two functions above

    await plan_and_approve(scenario)
    blocked = await scenario.read_job("Old form")
    was_on = form.is_on
    point_app_at(scenario, blocked.copy.id)
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "canvas app Requests of Alex" in blocked.message
    assert "publish the app" in blocked.fix
    assert was_on
    assert (await scenario.read_job("Old form")).state is FlowJobState.RETIRED
    assert not form.is_on
    assert not form.in_solution
    assert scenario.world.get_workflow(blocked.environment_id, blocked.copy.id).in_solution


async def test_daily_check_continues_job_after_canvas_app_is_changed() -> None:
    scenario = Scenario()
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, form.workflow_id)
    await plan_and_approve(scenario)
    before = await scenario.read_job("Old form")

    await scenario.driver.call(lambda services: run_daily_check(services, "day-1"))
    await scenario.run(DAY)
    still = await scenario.read_job("Old form")
    point_app_at(scenario, before.copy.id)
    await scenario.driver.call(lambda services: run_daily_check(services, "day-2"))
    await scenario.run(DAY)

    assert still.history == before.history
    assert (await scenario.read_job("Old form")).state is FlowJobState.RETIRED


async def test_plan_finds_the_canvas_app_of_a_copied_parent() -> None:
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child", {"Answer": define.build_response_action()})
    parent = scenario.build.add_parent(
        "Form", child, trigger=define.build_request_trigger("PowerAppV2")
    )
    add_app(scenario, parent.workflow_id)

    await plan_and_approve(scenario)

    jobs = await scenario.read_jobs()
    assert (jobs["Form"].state, jobs["Form"].reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert jobs["Child"].state is not FlowJobState.RETIRED
    assert parent.is_on
    assert child.is_on


async def test_plan_names_an_unreadable_canvas_app() -> None:
    """An unreadable canvas app may use any flow."""
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, gap="Cannot read the document of app Requests (NotFound).")

    await plan_and_approve(scenario)

    findings = (await scenario.read_environment_job()).findings
    [finding] = [one for one in findings if "canvas_app" in one]
    assert "app Requests" in finding
    assert finding.endswith(" Then assess or plan again.")


async def test_rollback_keeps_the_copy_on_until_the_maker_changes_the_app() -> None:
    scenario = Scenario()
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, form.workflow_id)
    await plan_and_approve(scenario)
    copy_id = (await scenario.read_job("Old form")).copy.id
    point_app_at(scenario, copy_id)
    await scenario.retry()

    await scenario.roll_back()
    blocked = await scenario.read_job("Old form")
    copy_was_on = scenario.world.get_workflow(form.environment_id, copy_id).is_on
    await scenario.driver.call(lambda services: run_daily_check(services, "before"))
    await scenario.run(DAY)
    still = await scenario.read_job("Old form")
    point_app_at(scenario, form.workflow_id)
    await scenario.driver.call(lambda services: run_daily_check(services, "after"))
    await scenario.run(DAY)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert still.history == blocked.history
    assert copy_was_on
    assert form.is_on
    assert (await scenario.read_job("Old form")).state is FlowJobState.ROLLED_BACK
    assert not scenario.world.get_workflow(form.environment_id, copy_id).is_on


async def test_canvas_app_is_never_written() -> None:
    """The platform has no API to change a canvas app."""
    scenario = Scenario()
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, form.workflow_id)
    kind = scenario.services.callers["canvas_app"]
    [caller] = [one async for one in kind.find([scenario.build.environment.build_environment()])]

    with pytest.raises(JobBlocked, match="Requests"):
        await kind.write(caller, CallerContent(text="[]"))

    assert form.workflow_id in (await kind.read(caller)).text

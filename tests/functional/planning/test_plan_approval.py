from datetime import timedelta

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import JobBlocked, NotFound
from shared.services import Services
from shared.use_cases.approve_plan import ApprovalInput, approve_plans
from shared.use_cases.show_remediation import PlanView, show_plan
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    approve_shown,
    edit,
    plan_remediation,
)
from tests.functional.scenarios.two_environments import build_two_plans

HOUR = timedelta(hours=1)


async def show_only_plan(services: Services, remediation_id: str) -> PlanView:
    (plan,) = await show_plan(services, remediation_id)
    return plan


async def approve_version(scenario: Scenario, version: str, *except_flows: str) -> None:
    approval = ApprovalInput(
        versions=(version,), approved_by="tests", excluded_flow_ids=except_flows
    )
    await approve_plans(scenario.services, scenario.remediation.id, approval)


@pytest.mark.parametrize(("flows", "text"), [(1, "1 flow awaits"), (2, "2 flows await")])
async def test_history_counts_flows_that_await_approval(flows: int, text: str) -> None:
    scenario = Scenario()
    for number in range(flows):
        scenario.build.add_http_flow(f"Flow {number}")
    await plan_remediation(scenario)

    entry = (await scenario.read_environment_job()).history[-1]

    assert entry.message.startswith(f"{text} approval until ")


# --- versions -------------------------------------------------------------------------------------


async def test_approval_of_another_plan_version_is_rejected() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    version = (await show_only_plan(scenario.services, scenario.remediation.id)).version

    with pytest.raises(JobBlocked) as refusal:
        await approve_version(scenario, "0" * 16)

    assert refusal.value.code == "plan_changed"
    assert version in refusal.value.reason
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


async def test_approval_of_an_outdated_plan_version_names_the_change() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    version = (await show_only_plan(scenario.services, scenario.remediation.id)).version
    edit(orders)
    await approve_version(scenario, version)
    await scenario.run(HOUR)

    with pytest.raises(JobBlocked) as refusal:
        await approve_version(scenario, version)

    assert refusal.value.code == "plan_changed"
    assert "Orders: its definition was edited" in refusal.value.reason
    assert scenario.world.writes == []


async def test_unchanged_plan_keeps_its_version() -> None:
    scenario = Scenario()
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    await plan_remediation(scenario)
    version = (await show_only_plan(scenario.services, scenario.remediation.id)).version

    await scenario.run(timedelta(days=3))

    assert (await show_only_plan(scenario.services, scenario.remediation.id)).version == version


async def test_plans_of_environments_are_approved_separately() -> None:
    scenario = await build_two_plans()
    ids = [build.environment.id for build in scenario.builders]
    plans = {
        plan.environment_job.environment_id: plan
        for plan in await show_plan(scenario.services, scenario.remediation.id)
    }

    await approve_version(scenario, plans[ids[1]].version)
    await scenario.run(HOUR)

    jobs = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    states = {job.environment_id: job.state for job in jobs}
    assert states == {
        ids[0]: EnvironmentJobState.AWAITING_APPROVAL,
        ids[1]: EnvironmentJobState.RUNNING_FLOW_JOBS,
    }


async def test_two_approved_remediations_of_a_flow_share_one_job() -> None:
    scenario = Scenario()
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    await plan_remediation(scenario)
    first = scenario.remediation
    await scenario.order(cause="order-2")
    await approve_shown(scenario.services, first.id)
    await approve_shown(scenario.services, scenario.remediation.id)

    await scenario.run_until("Orders", FlowJobState.COPIED)
    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.history
    assert [line.state for line in job.history].count("planned") == 1
    states = {
        one.state
        for identity in (first.id, scenario.remediation.id)
        for one in await scenario.services.tables.environment_jobs.read_all(identity)
    }
    assert states == {EnvironmentJobState.COMPLETED}


# --- exceptions -----------------------------------------------------------------------------------


async def test_parents_of_an_excluded_flow_are_excluded() -> None:
    scenario = Scenario()
    child, parent, grandparent = scenario.build.add_family("Billing")
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)

    await scenario.approve(child.workflow_id.upper(), run=HOUR)

    assert set(await scenario.read_jobs()) == {"Orders"}
    plan = await scenario.plan()
    assert {plan[flow.name].action for flow in (child, parent, grandparent)} == {
        PlannedAction.NO_CHANGE
    }
    assert plan[child.name].message == "tests excluded it from the approval."
    assert plan[parent.name].message == "It runs Billing child, which the approval excluded."
    assert plan[grandparent.name].planned_changes == ()


async def test_exclusion_of_an_unknown_flow_is_rejected() -> None:
    """If a mistyped flow were ignored, the flow that was meant would be copied."""
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    version = (await show_only_plan(scenario.services, scenario.remediation.id)).version

    with pytest.raises(NotFound, match="orders-flow"):
        await approve_version(scenario, version, "orders-flow")

    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


# --- choices --------------------------------------------------------------------------------------


async def approve_chosen_flows(
    scenario: Scenario, *included: str, offered: tuple[str, ...] | None = None, version: str = ""
) -> None:
    """Approve only these flows of a plan, by workflow id, as the plan page does."""
    plan = await show_only_plan(scenario.services, scenario.remediation.id)
    approval = ApprovalInput(
        versions=(version or plan.version,),
        approved_by="tests",
        included_flow_ids=included,
        offered_flow_ids=offered,
    )
    await approve_plans(scenario.services, scenario.remediation.id, approval)


async def test_approval_of_chosen_flows_excludes_others_and_their_parents() -> None:
    scenario = Scenario()
    child, parent, grandparent = scenario.build.add_family("Billing")
    sales = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)

    await approve_chosen_flows(
        scenario, child.workflow_id, grandparent.workflow_id, sales.workflow_id
    )
    await scenario.run(HOUR)

    assert set(await scenario.read_jobs()) == {"Orders", child.name}
    job = await scenario.read_environment_job()
    assert job.excluded_from_approval == (parent.workflow_id,)
    plan = await scenario.plan()
    assert plan[grandparent.name].message == f"It runs {parent.name}, which the approval excluded."


async def test_approval_of_offered_flows_includes_those_that_were_not_offered() -> None:
    scenario = Scenario()
    sales, invoices = (scenario.build.add_http_flow(name) for name in ("Orders", "Invoices"))
    scenario.build.add_http_flow("Receipts")
    await plan_remediation(scenario)

    await approve_chosen_flows(
        scenario, sales.workflow_id, offered=(sales.workflow_id, invoices.workflow_id)
    )
    await scenario.run(HOUR)

    assert set(await scenario.read_jobs()) == {"Orders", "Receipts"}


async def test_repeated_approval_of_chosen_flows_succeeds_and_another_choice_is_rejected() -> None:
    scenario = Scenario()
    sales, invoices = (scenario.build.add_http_flow(name) for name in ("Orders", "Invoices"))
    await plan_remediation(scenario)
    version = (await show_only_plan(scenario.services, scenario.remediation.id)).version
    await approve_chosen_flows(scenario, sales.workflow_id, version=version)

    await approve_chosen_flows(scenario, sales.workflow_id, version=version)
    await scenario.run(HOUR)
    await approve_chosen_flows(scenario, sales.workflow_id, version=version)
    for other in ((invoices.workflow_id,), (sales.workflow_id, invoices.workflow_id)):
        with pytest.raises(JobBlocked) as rejection:
            await approve_chosen_flows(scenario, *other, version=version)
        assert rejection.value.code == "nothing_to_approve"

    assert (await scenario.read_environment_job()).approval_count == 1


async def test_choice_of_an_unknown_flow_or_of_none_is_rejected() -> None:
    """A parent cannot be migrated without its child."""
    scenario = Scenario()
    parent = scenario.build.add_parent("Close of day", scenario.build.add_http_flow("Orders"))
    await plan_remediation(scenario)

    with pytest.raises(NotFound, match="no-such-flow"):
        await approve_chosen_flows(scenario, "no-such-flow")
    with pytest.raises(JobBlocked, match="includes no flow"):
        await approve_chosen_flows(scenario, parent.workflow_id)

    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL

"""Test that a later plan leaves alone each flow that another remediation already migrates."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import NotMigratedReason, PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.use_cases.change_remediation import cancel
from shared.use_cases.notify import notify
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_remediation import list_remediations, show_plan
from shared.use_cases.show_status import show_status
from tests.fakes import definition_builder as define
from tests.functional.app.notified_scenario import RecordingChannel
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.firewall_scenario import ERP_HOST, build_erp_firewall
from tests.functional.scenarios.page_visitor import Visitor
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


async def plan_daily_check(scenario: Scenario) -> str:
    """Run the daily check and an hour of its remediation. Select this remediation, and return its
    id.
    """
    known = {one.id for one in await scenario.services.tables.remediations.read_all("remediation")}
    date = f"{scenario.services.now:%Y-%m-%d}"
    await scenario.driver.call(lambda services: run_daily_check(services, date))
    await scenario.run(timedelta(hours=1))
    found = await scenario.services.tables.remediations.read_all("remediation")
    [scenario.remediation] = [one for one in found if one.id not in known]
    return scenario.remediation.id


async def build_started_scenario(policy: ApprovalPolicy = ApprovalPolicy.REQUIRED) -> Scenario:
    scenario = Scenario(mode=policy)
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow(
        "Post to ERP", {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
    )
    scenario.world.service_tags = {"PowerPlatformPlex.WestEurope": ["20.1.0.0/24"]}
    scenario.world.firewalls = [build_erp_firewall()]
    scenario.build.apply_key()
    await scenario.start_remediation()
    if policy is ApprovalPolicy.REQUIRED:
        await scenario.approve(run=timedelta())
    await scenario.run(DAY)
    states = {title: job.state for title, job in (await scenario.read_jobs()).items()}
    assert states == {"Orders": FlowJobState.WAITING, "Post to ERP": FlowJobState.BLOCKED}
    return scenario


@pytest.mark.parametrize("policy", [ApprovalPolicy.REQUIRED, ApprovalPolicy.AUTOMATIC])
async def test_plan_with_only_continued_flows_completes_without_changing_their_jobs(
    policy: ApprovalPolicy,
) -> None:
    scenario = await build_started_scenario(policy)
    first = scenario.remediation.id

    second = await plan_daily_check(scenario)

    [job] = await scenario.services.tables.environment_jobs.read_all(second)
    assert job.state is EnvironmentJobState.COMPLETED
    assert (
        job.history[-1].message
        == "No flow needs a new change. 2 flows belong to another remediation."
    )
    assert job.awaiting_approval_count == 0
    jobs = await scenario.read_jobs()
    assert {one.remediation_id for one in jobs.values()} == {first}
    await scenario.run(60 * DAY)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert (await scenario.read_job("Orders")).remediation_id == first


async def test_status_counts_each_flow_once_after_a_second_remediation() -> None:
    scenario, heard = await build_started_scenario(), RecordingChannel()
    first = scenario.remediation.id
    before = await show_status(scenario.services)

    second = await plan_daily_check(scenario)

    status = await show_status(scenario.services)
    assert [one.kind for one in status.pending_actions] == ["flows_blocked"]
    assert status.not_migrated == {NotMigratedReason.BLOCKED: 1, NotMigratedReason.IN_PROGRESS: 1}
    assert (status.flow_count, status.flows) == (before.flow_count, before.flows)
    listed = await list_remediations(scenario.services, limit=10)
    left = {one.remediation.id: one.progress.not_migrated for one in listed.items}
    assert left == {first: {"blocked": 1, "in_progress": 1}, second: {}}
    for _ in range(2):  # notifications about flows are gathered before they are sent
        await notify(replace(scenario.services, channels=(heard,)))
        scenario.world.clock.advance(timedelta(hours=1))
    assert heard.causes == ["flows_blocked"]


async def test_pages_of_the_day_after_an_approval_are_true() -> None:
    scenario = await build_started_scenario()
    await plan_daily_check(scenario)
    visitor = Visitor(scenario, flow_id=(await scenario.read_job("Orders")).original.id)
    for name in ("", "/network", "/remediations", "/remediations/{id}", "/remediations/{id}/plan"):
        await visitor.show(name, name)
    pages = {page.name: unescape(page.text) for page in visitor.pages}

    assert "awaits approval" not in pages[""]
    assert "0 of 2 flows on your key" in pages[""]
    assert "1 firewall blocks 1 flow</h1>" in pages["/network"]
    assert "Ranges not known" not in pages["/network"]
    assert pages["/network"].count(">Show fix<span") == 1
    assert "2 flows belong to another remediation." in pages["/remediations/{id}"]
    assert "start a new remediation" not in pages["/remediations/{id}"]
    plan = re.sub(r"\s+", " ", pages["/remediations/{id}/plan"])
    assert "The plan changes no flow." in plan
    assert "2 flows belong to another remediation." in plan
    assert "<h2" not in plan.partition("<main")[2].partition('id="firewalls"')[0]
    assert "2 flows belong to another remediation" in pages["/remediations"]


async def test_plan_with_continued_flows_awaits_approval_for_new_flows_only() -> None:
    scenario = await build_started_scenario()
    first = scenario.remediation.id
    scenario.build.add_http_flow("Returns")

    second = await plan_daily_check(scenario)

    [job] = await scenario.services.tables.environment_jobs.read_all(second)
    assert job.state is EnvironmentJobState.AWAITING_APPROVAL
    assert job.awaiting_approval_count == 1
    text = r"1 flow awaits approval until .* UTC\. 2 flows belong to another remediation\."
    assert re.fullmatch(text, job.history[-1].message)
    [plan] = await show_plan(scenario.services, second)
    actions = {item.display_name: item.action for item in plan.items}
    assert actions == {
        "Orders": PlannedAction.CONTINUE_EXISTING_JOB,
        "Post to ERP": PlannedAction.CONTINUE_EXISTING_JOB,
        "Returns": PlannedAction.COPY,
    }
    assert len(plan.awaiting_flow_ids) == 1
    status = await show_status(scenario.services)
    assert status.not_migrated[NotMigratedReason.AWAITING_APPROVAL] == 1
    assert status.flow_count == 3
    provide(scenario.services)
    visitor = Visitor(scenario, flow_id=(await scenario.read_job("Orders")).original.id)
    await visitor.show("network", "/network")
    await visitor.show("plan", "/remediations/{id}/plan")
    network, page = [unescape(one.text) for one in visitor.take_pages()]
    assert "Ranges not known" not in network
    assert "2 flows belong to another remediation." in page
    assert re.search(r"You approve \d+ changes to 1 of the 3 flows", page)

    await scenario.approve(run=DAY)

    jobs = await scenario.read_jobs()
    homes = {title: one.remediation_id for title, one in jobs.items()}
    assert homes == {"Orders": first, "Post to ERP": first, "Returns": second}


async def test_flow_of_two_plans_that_await_approval_is_counted_once() -> None:
    """A person may start the same remediation twice."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Returns")
    scenario.build.apply_key()
    await scenario.start_remediation()
    for cause in ("order-2", "order-3"):
        await scenario.order(RemediationMode.APPLY, orders.workflow_id, cause=cause)

    twice = await show_status(scenario.services)
    await cancel(scenario.services, scenario.remediation.id)
    cancelled = await show_status(scenario.services)

    assert twice.not_migrated == {NotMigratedReason.AWAITING_APPROVAL: 2}
    assert twice.flow_count == cancelled.flow_count == 2

import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

from functions import dashboard_api, remediations_api
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.use_cases.change_remediation import cancel
from shared.use_cases.manage_firewall_fixes import apply_fix
from tests.functional.app.dashboard_scenario import build_app_scenario
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.firewall_scenario import (
    GROUP,
    build_fix_input,
    build_guarded_scenario,
)
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown


async def show_page(scenario: Scenario) -> str:
    reply = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    return unescape(reply.text)


async def send_start_form(fields: Sequence[tuple[str, str]]) -> str:
    done = await call(
        remediations_api.start_remediation,
        urlencode(fields).encode(),
        path="remediations",
        headers={"Content-Type": FORM, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )
    assert done.status == 303
    return done.headers["Location"]


async def test_blocked_flow_links_to_the_fix_of_its_firewall() -> None:
    scenario = await build_guarded_scenario(GROUP)
    scenario.driver.use_cases = TRIGGERS
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    provide(scenario.services)
    [job] = (await scenario.read_jobs()).values()
    [issue] = (await scenario.read_environment_job()).firewall_issues

    page = await show_page(scenario)

    assert job.reason_code == "firewall_denies"
    assert "<h3>Firewall: 1 flow</h3>" in page
    ranges = len(issue.missing_prefixes)
    assert f"1 firewall denies {ranges} address range" in page
    assert "Show fix for 1 firewall</a>" in page
    assert f"<div>Firewall {issue.firewall_name}</div>" in page


async def test_fixed_firewall_is_not_shown_as_denying() -> None:
    scenario = await build_guarded_scenario(GROUP)
    scenario.driver.use_cases = TRIGGERS
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    provide(scenario.services)
    before = await show_page(scenario)
    await apply_fix(scenario.services, build_fix_input(GROUP))
    await scenario.retry()
    provide(scenario.services)

    after = await show_page(scenario)

    assert 'Affects calls by <a href="' in before
    assert "Affects calls" not in after
    assert "No firewall blocks a flow of this remediation now." in after


async def test_flows_that_need_changes_are_planned_again_from_their_form() -> None:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.add_admin_list_flow("List of flows")
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    page = await show_page(scenario)
    form = re.search(r'<form method="post" action="/api/remediations">(.*?)</form>', page, re.S)
    assert form is not None
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', form[1])

    async def send(seconds: int, by: str) -> str:
        scenario.world.clock.advance(timedelta(seconds=seconds))
        return await send_start_form([*fields, ("started_by", by)])

    location = await send(0, "Ada")
    assert await send(29, "Ada") == location  # a second click
    assert await send(600, "Ada") == location  # a second tab
    rows = await scenario.services.tables.remediations.read_all("remediation")
    [started] = [row for row in rows if row.id != scenario.remediation.id]
    [listed] = [
        item.workflow_id
        for job in await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
        for item in await scenario.services.tables.plan_items.read_all(job.id)
        if item.display_name == "List of flows"
    ]
    assert started.flow_ids == (listed,)
    assert started.environment_ids == scenario.remediation.environment_ids
    assert location.startswith(f"/api/dashboard/remediations/{started.id}?")
    assert await send(0, "Eve") != location
    await cancel(scenario.services, started.id)
    again = await send(0, "Ada")
    assert again != location  # the first one is over
    assert await send(1, "Ada") == again
    assert await send(7200, "Ada") != again


async def test_second_tab_leads_to_the_remediation_until_its_flow_jobs_start() -> None:
    scenario = await build_app_scenario("Orders")
    fields = [("mode", "apply"), ("environment_ids[]", scenario.build.environment.id)]

    first = await send_start_form(fields)
    scenario.world.clock.advance(timedelta(minutes=1))
    during_the_plan = await send_start_form(fields)
    await scenario.run(timedelta(minutes=10))
    [started] = await scenario.services.tables.remediations.read_all("remediation")
    before_the_approval = await send_start_form(fields)
    await approve_shown(scenario.services, started.id)
    await scenario.run(timedelta(minutes=10))
    after_the_approval = await send_start_form(fields)

    assert first == during_the_plan == before_the_approval
    assert started.id in first
    assert after_the_approval != first


async def test_second_click_after_flow_jobs_started_leads_to_the_same_remediation() -> None:
    """Without an approval, flow jobs may start between the two clicks."""
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    fields = [("mode", "apply"), ("environment_ids[]", scenario.build.environment.id)]

    first = await send_start_form(fields)
    await scenario.run(timedelta(seconds=20))
    [job] = await scenario.services.tables.environment_jobs.read_all()
    assert job.has_started_flow_jobs

    assert await send_start_form(fields) == first
    scenario.world.clock.advance(timedelta(seconds=20))
    assert await send_start_form(fields) != first

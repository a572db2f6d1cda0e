"""The page of a remediation with rows that the app wrote: its causes and its forms."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

from functions import dashboard_api, remediations_api
from functions.forms import FORM
from shared.bootstrap import provide
from shared.use_cases.manage_firewall_fixes import apply_fix
from tests.functional.actions.test_repair_network import GROUP, guarded, wish
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown


async def page_of(scenario: Scenario) -> str:
    """Return the page of the scenario's remediation."""
    reply = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    return unescape(reply.text)


async def test_a_flow_that_a_firewall_blocks_leads_to_the_fix_of_that_firewall() -> None:
    """The page finds the firewalls of the cause in the messages of the jobs."""
    scenario = await guarded(GROUP)
    scenario.driver.use_cases = TRIGGERS
    await scenario.order()
    await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)
    [job] = (await scenario.jobs()).values()
    [issue] = (await scenario.environment_job()).firewall_issues

    page = await page_of(scenario)

    assert job.reason_code == "firewall_denies"
    assert "<h3>Firewall: 1 flow</h3>" in page
    ranges = len(issue.missing_prefixes)
    assert f"1 firewall denies {ranges} address range" in page
    assert "Show fix for 1 firewall</a>" in page
    assert f"<div>Firewall {issue.firewall_name}</div>" in page


async def test_firewall_that_blocks_no_flow_any_more_is_not_shown_as_denying() -> None:
    """The issue is stored with the plan; the firewall is fixed and the flow retried afterwards."""
    scenario = await guarded(GROUP)
    scenario.driver.use_cases = TRIGGERS
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    provide(scenario.services)
    before = await page_of(scenario)
    await apply_fix(scenario.services, wish(GROUP))
    await scenario.retry()
    provide(scenario.services)

    after = await page_of(scenario)

    assert 'Denies calls of <a href="' in before
    assert "Denies calls" not in after
    assert "No firewall blocks a flow of this remediation now." in after


async def test_flows_that_need_changes_are_planned_again_from_their_form() -> None:
    """The form starts a remediation of these flows only, and leads to it."""
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.http_flow("Orders")
    scenario.build.admin_list_flow("List of flows")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    provide(scenario.services)
    page = await page_of(scenario)
    form = re.search(r'<form method="post" action="/api/remediations">(.*?)</form>', page, re.S)
    assert form is not None
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', form[1])

    done = await call(
        remediations_api.start_remediation,
        urlencode([*fields, ("started_by", "Ada")]).encode(),
        path="remediations",
        headers={"Content-Type": FORM, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )

    assert done.status == 303
    rows = await scenario.services.tables.remediations.all("remediation")
    [started] = [row for row in rows if row.id != scenario.remediation.id]
    [listed] = [
        item.workflow_id
        for job in await scenario.services.tables.environment_jobs.all(scenario.remediation.id)
        for item in await scenario.services.tables.plan_items.all(job.id)
        if item.display_name == "List of flows"
    ]
    assert started.flow_ids == (listed,)
    assert started.environment_ids == scenario.remediation.environment_ids
    assert done.headers["Location"].startswith(f"/api/dashboard/remediations/{started.id}?")

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from functions import (
    audit_api,
    dashboard_api,
    environments_api,
    plan_page_api,
    remediation_actions_api,
    remediations_api,
)
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.environment import EnvironmentSettings
from shared.domain.principal import Role
from tests.functional.callers.test_canvas_apps import add_app
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, build_sign_in_header, call
from tests.functional.scenarios.firewall_scenario import GROUP, build_guarded_scenario
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_remediation,
)
from tests.functional.scenarios.two_environments import build_two_plans


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_parent("Close of day", scenario.build.add_http_flow("Orders"))
    scenario.build.add_variable_caller(scenario.build.add_http_flow("Invoices"))
    scenario.build.add_keyword_flow("Keyword")
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


async def show_page(
    scenario: Scenario, headers: Mapping[str, str] | None = None, /, **query: str
) -> str:
    page = await call(
        plan_page_api.show_plan_page, id=scenario.remediation.id, query=query, headers=headers
    )
    assert page.status == 200, page.text
    return page.text


def list_ticked_flows(page: str) -> dict[str, str]:
    found = re.findall(
        r'name="included_flow_ids\[\]" value="([^"]+)".*?<span class="vh">Include ([^<]+)<', page
    )
    return {unescape(name): flow for flow, name in found}


async def send_form(scenario: Scenario, *fields: tuple[str, str]) -> Reply:
    there = f"https://app.example/api/dashboard/remediations/{scenario.remediation.id}/plan"
    headers = {"Accept": "text/html", "Referer": there, "Sec-Fetch-Site": "same-origin"}
    return await call(
        remediation_actions_api.approve_remediation,
        urlencode(fields).encode(),
        id=scenario.remediation.id,
        headers={"Content-Type": FORM, **headers},
    )


def read_hidden_fields(page: str) -> list[tuple[str, str]]:
    form = re.search(r'<form class="plan" method="post".*?</form>', page, re.DOTALL)
    assert form is not None
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    return [(name, unescape(value)) for name, value in found]


async def test_plan_counts_callers_that_are_copied_apart_from_those_that_it_updates(
    scenario: Scenario,
) -> None:
    """The parent is copied, so that its copy calls the child's copy.

    The app updates only a variable.
    """
    page = unescape(re.sub(r"<[^>]+>", "", await show_page(scenario)))
    await scenario.approve(run=timedelta(days=30))
    records = [
        one
        for job in (await scenario.read_jobs()).values()
        for one in await scenario.services.tables.callers.read_all(job.id)
    ]

    assert len(records) == 1
    assert (
        "1 known caller is a flow of this plan: its copy calls the copies, not the originals."
        in page
    )


async def test_form_approves_only_ticked_flows_with_ticked_children(
    scenario: Scenario,
) -> None:
    page = await show_page(scenario)
    flows = list_ticked_flows(page)
    assert set(flows) == {"Orders", "Close of day", "Invoices", "Keyword"}
    ticked = [("included_flow_ids[]", one) for name, one in flows.items() if name != "Orders"]

    done = await send_form(scenario, *read_hidden_fields(page), *ticked, ("approved_by", "Ada"))
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)

    assert done.status == 303
    assert "completed_action=approve" in done.headers["Location"]
    assert set(await scenario.read_jobs()) == {"Invoices", "Keyword"}
    after = unescape(await show_page(scenario))
    assert "Approved by Ada" in after
    assert "without 1 flow" in after
    assert "<form" not in after.replace('<form id="finder"', "")


async def test_form_without_a_tick_is_rejected_and_approves_nothing(scenario: Scenario) -> None:
    done = await send_form(
        scenario, *read_hidden_fields(await show_page(scenario)), ("approved_by", "Ada")
    )

    assert done.status == 400
    assert (await scenario.read_environment_job()).state == "awaiting_approval"


async def test_page_names_where_it_is_and_the_beginning_of_the_id(scenario: Scenario) -> None:
    page, identity = await show_page(scenario), scenario.remediation.id

    there = f'<a href="/api/dashboard/remediations/{identity}">Contoso</a> / Plan</nav>'
    assert f'<a href="/api/dashboard/remediations">Remediations</a> / {there}' in page
    assert f'<code title="{identity}">#{identity[:8]}</code>' in page
    assert page.count(f"{identity}</code>") == 0
    assert page.count(f"<code>cmkflow approve {identity} --version") == 1


async def test_bar_and_head_name_the_flows_and_changes_that_the_plan_has(
    scenario: Scenario,
) -> None:
    answer = await call(
        remediations_api.show_plan, id=scenario.remediation.id, query={"format": "json"}
    )
    [plan] = answer.document["items"]
    changes = sum(len(one["planned_changes"]) for one in plan["items"])
    outlooks = Counter(one["outlook"] for one in plan["outlooks"])
    page = await show_page(scenario)

    assert outlooks == {"no_pause": 4}
    assert f"You approve {changes} changes to 4 of the 4 flows" in unescape(page)
    assert f"You approve 4 flows, {changes} changes,</b> in Contoso." in page
    assert "You can approve now.</b> To leave out a flow, untick it" in page
    numbers = re.findall(r'<b class="num">.*?</svg>(\d+)</b>', page)
    assert sum(map(int, numbers)) == 4


async def test_unknowns_are_named_with_their_consequences(scenario: Scenario) -> None:
    page = unescape(await show_page(scenario))

    assert "By approving you accept what the app cannot check" in page
    assert "data policies, the owner's right to other people's connections" in page
    assert "both can be off until a person acts" in page


async def press_button(
    scenario: Scenario, page: str, button: str, ticked: Iterable[str], *, search: str = ""
) -> dict[str, str]:
    asked = re.search(rf'formaction="[^"?]+\?([^"]*)" formnovalidate>{button}', page)
    assert asked is not None, button
    fields = [*read_hidden_fields(page), *(("included_flow_ids[]", one) for one in ticked)]
    there = f"https://app.example/api/dashboard/remediations/{scenario.remediation.id}/plan"
    done = await call(
        plan_page_api.keep_plan_ticks,
        urlencode([*fields, ("_search", search), ("approved_by", "")]).encode(),
        id=scenario.remediation.id,
        query=dict(parse_qsl(unescape(asked[1]))),
        headers={
            "Content-Type": FORM,
            "Accept": "text/html",
            "Referer": there,
            "Sec-Fetch-Site": "same-origin",
        },
    )
    assert done.status == 303, done.text
    assert len(done.headers["Location"]) < 2_000  # IIS rejects a longer query by default
    return dict(parse_qsl(done.headers["Location"].partition("?")[2].partition("#")[0]))


async def test_flow_without_a_tick_is_excluded_on_every_page(scenario: Scenario) -> None:
    whole = await show_page(scenario)
    ticked = [flow for name, flow in list_ticked_flows(whole).items() if name != "Orders"]
    query = await press_button(scenario, whole, "Find", ticked, search="invoices")
    page = await show_page(scenario, None, **query)
    assert set(list_ticked_flows(page)) == {"Invoices"}
    assert "You approve 2 flows," in page
    assert "1 flow not listed on this page" in page
    assert "2 flows are left out" in page

    sent = [("included_flow_ids[]", one) for one in list_ticked_flows(page).values()]
    await send_form(scenario, *read_hidden_fields(page), *sent, ("approved_by", "Ada"))
    await scenario.run(timedelta(minutes=30))

    assert set(await scenario.read_jobs()) == {"Invoices", "Keyword"}
    entries = await call(audit_api.list_audit)
    assert "keep_plan_ticks" not in entries.text


async def test_flow_that_is_ticked_again_is_included_again(scenario: Scenario) -> None:
    whole = await show_page(scenario)
    flows = list_ticked_flows(whole)
    query = await press_button(scenario, whole, "Find", set(flows.values()) - {flows["Invoices"]})
    page = await show_page(scenario, None, **query)
    invoices = page.partition(flows["Invoices"])[2].partition(">")[0]
    assert not invoices.endswith("checked")

    again = await press_button(scenario, page, "Find", flows.values())

    assert "leave_out" not in again


async def test_thousand_of_two_thousand_flows_are_excluded_page_by_page(
    scenario: Scenario,
) -> None:
    table = scenario.services.tables.plan_items
    job = await scenario.read_environment_job()
    rows = await table.read_all(job.id)
    [single] = [one for one in rows if one.display_name == "Keyword"]
    names = [f"Flow {number}" for number in range(2_000)]
    for number, name in enumerate(names):
        workflow_id = f"f0000000-0000-4000-8000-{number:012d}"
        await table.upsert(replace(single, workflow_id=workflow_id, display_name=name))
    query, kept = dict[str, str](), set[str]()
    while True:
        page = await show_page(scenario, None, **query)
        flows = list_ticked_flows(page)
        ticked = [flow for name, flow in flows.items() if name[-1] in "02468" or "Flow" not in name]
        kept.update(ticked)
        if ">Next</button>" not in page:
            break
        query = await press_button(scenario, page, "Next", ticked)

    done = await send_form(
        scenario,
        *read_hidden_fields(page),
        *(("included_flow_ids[]", one) for one in ticked),
        ("approved_by", "Ada"),
        ("_search", "Flow 17"),
    )

    assert done.status == 303, done.text
    after = await scenario.read_environment_job()
    every = {one.workflow_id for one in await table.read_all(job.id)}
    assert set(after.excluded_from_approval) == every - kept
    assert (len(every - kept), len(kept)) == (1_000, 1_004)


async def test_flows_excluded_from_another_plan_version_are_included(
    scenario: Scenario,
) -> None:
    page = await show_page(scenario, leave_out="0123456789abcdef.BQ")

    assert "The plan has changed since you left flows out." in page
    assert "You approve 4 flows," in page


async def test_approval_of_a_filtered_page_covers_all_flows(
    scenario: Scenario,
) -> None:
    for kind, search, flows in (
        ("cut_over", "", {"Close of day", "Keyword"}),
        ("", "keyword", {"Keyword"}),
        ("not_included", "", set[str]()),
    ):
        page = await show_page(scenario, filter=kind, search=search)

        assert set(list_ticked_flows(page)) == flows
        assert "You approve 4 flows," in page
        assert f"{4 - len(flows)} flows not listed on this page" in page


async def test_reader_and_starter_see_the_plan_without_a_form(
    scenario: Scenario,
) -> None:
    remediation = replace(scenario.remediation, started_by="Ada", started_by_id="id-Ada")
    await scenario.services.tables.remediations.upsert(remediation)
    reasons = {
        "You need the role approver.": build_sign_in_header("Bob", [Role.READER]),
        "Ada started this remediation and cannot approve it.": build_sign_in_header("Ada"),
    }
    for reason, headers in reasons.items():
        page = await show_page(scenario, headers)

        assert reason in page
        assert "You can approve now" not in page
        assert "4 flows," in page
        assert "<form class" not in page
        assert not list_ticked_flows(page)


@pytest.mark.parametrize("role", Role)
async def test_plan_of_a_read_only_environment_can_be_permitted_by_an_approver(
    scenario: Scenario, role: Role
) -> None:
    identity = scenario.build.environment.id
    await scenario.services.tables.environment_settings.upsert(
        EnvironmentSettings(environment_id=identity)
    )
    headers = build_sign_in_header("Ada", [role])

    page = await show_page(scenario, headers)

    assert "This plan cannot be approved yet" in page
    assert "4 flows," in page
    assert not list_ticked_flows(page)
    action = f'action="/api/environments/{identity}/settings"'
    if role is not Role.APPROVER:
        assert action not in page
        assert "An approver can permit changes on the page" in page
        return
    assert "is read-only." in page.partition('class="approve"')[2]
    assert ">Permit changes in Contoso</summary>" in page
    there = f"https://app.example/api/dashboard/remediations/{scenario.remediation.id}/plan"
    done = await call(
        environments_api.change_environment_settings,
        urlencode([("approval_policy", "required")]).encode(),
        id=identity,
        headers={
            "Content-Type": FORM,
            "Accept": "text/html",
            "Referer": there,
            "Sec-Fetch-Site": "same-origin",
            **headers,
        },
    )
    assert action in page
    assert "/plan?completed_action=settings" in done.headers["Location"]
    after = await show_page(scenario, headers)
    assert "read-only" not in after
    assert len(list_ticked_flows(after)) == 4


async def test_plan_with_unreadable_environment_settings_has_no_form(
    scenario: Scenario,
) -> None:
    """The API would reject the approval."""
    rows = scenario.fakes.store.rows
    [name] = [name for name, row in rows.items() if row.table == "environmentsettings"]
    rows[name] = replace(rows[name], columns={**rows[name].columns, "data0": "{garbage"})

    page = await show_page(scenario)

    assert "The app cannot read the settings of the environment." in page
    assert not list_ticked_flows(page)


async def test_expired_plan_has_no_form(scenario: Scenario) -> None:
    """The API would reject the approval, even before the app has cancelled the expired plan."""
    job = await scenario.read_environment_job()
    past = scenario.services.now - timedelta(minutes=1)
    await scenario.services.tables.environment_jobs.upsert(replace(job, approval_expires_at=past))

    page = await show_page(scenario)

    assert "This plan has expired. Start a new remediation." in page
    assert "Expired" in page
    assert "<form class" not in page


async def test_plans_of_several_environments_are_approved_one_by_one() -> None:
    scenario = await build_two_plans()
    provide(scenario.services)
    first, second = (build.environment for build in scenario.builders)

    every = await show_page(scenario)
    page = await show_page(scenario, environment=second.id)
    ticked = [("included_flow_ids[]", one) for one in list_ticked_flows(page).values()]
    await send_form(scenario, *read_hidden_fields(page), *ticked, ("approved_by", "Ada"))

    assert "2 plans await approval" in every
    assert all(f"plan?environment={one.id}" in every for one in (first, second))
    jobs = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    assert {job.environment_id: job.state for job in jobs} == {
        first.id: "awaiting_approval",
        second.id: "approved",
    }
    exported = await show_page(scenario, export="true")
    assert exported.count("<h1") == 2
    assert "<form" not in exported


async def test_firewall_is_shown_once_with_its_flows_and_a_link_to_its_fix() -> None:
    scenario = await build_guarded_scenario(GROUP)
    await scenario.order()
    provide(scenario.services)
    [issue] = (await scenario.read_environment_job()).firewall_issues

    page = await show_page(scenario)

    assert "1 firewall does not allow the new addresses" in page
    [link] = re.findall(r'href="([^"]+\?firewall_fix=[^"]+)"', page)
    assert f"firewall_fix={quote(issue.name)}&" in link
    fix = await call(
        dashboard_api.show_remediation_page,
        id=scenario.remediation.id,
        query=dict(parse_qsl(unescape(link).partition("?")[2].partition("#")[0])),
    )
    assert f'id="{link.partition("#")[2]}"' in fix.text
    assert f"Pauses: firewall {issue.firewall_name}" in page
    assert "at a firewall" in page


async def test_plan_after_its_approval_does_not_say_that_firewalls_deny_now() -> None:
    """A firewall may have been fixed since the plan."""
    scenario = await build_guarded_scenario(GROUP)
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    provide(scenario.services)

    page = await show_page(scenario)

    assert "1 firewall did not allow the new addresses when planned" in page
    assert "not allow the new addresses." not in page


async def test_place_that_was_not_searched_is_shown_with_its_fix_without_a_click() -> None:
    """Callers may exist in places that the app could not search."""
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, gap="Cannot read the document of app Requests (NotFound).")
    await plan_remediation(scenario)
    provide(scenario.services)

    page = await show_page(scenario)

    [shown] = re.findall(r'<details class="fold" open><summary>Findings.*?</details>', page, re.S)
    assert "canvas_app is incomplete: Cannot read the document of app Requests" in shown
    assert "New-PowerAppManagementApp" in shown


async def test_plan_after_its_approval_shows_no_ticks(scenario: Scenario) -> None:
    await scenario.approve(run=timedelta(hours=6))
    provide(scenario.services)

    page = await show_page(scenario)

    assert "You approve" not in page
    assert not list_ticked_flows(page)
    assert "What the plan does" in page

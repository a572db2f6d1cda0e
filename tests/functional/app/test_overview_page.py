import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import (
    dashboard_api,
    kill_switch_api,
    remediation_actions_api,
    status_api,
)
from functions.dashboard.overview import build_headline as headline_of
from functions.forms import FORM
from functions.routes import LISTED, UNKNOWN_PAGE
from shared.bootstrap import provide
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
    build_environment_job_id,
)
from shared.domain.principal import Role
from shared.services import Services
from shared.use_cases.set_kill_switch import set_kill_switch
from shared.use_cases.show_status import show_status
from tests.functional.app.dashboard_scenario import build_app_scenario, read_hidden_fields
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

OWN = {"Sec-Fetch-Site": "same-origin"}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
NOTHING: Mapping[str, str] = {}
FLOWS = ("Invoices", "Orders", "Returns")
#: Most bytes of a page, as of every page.
MOST_BYTES = 300_000


@pytest.fixture
async def scenario() -> Scenario:
    return await build_app_scenario(*FLOWS)


async def start_remediation(scenario: Scenario, *, approve: bool = True) -> None:
    await scenario.order()
    if approve:
        await scenario.approve(run=timedelta(hours=6))
    provide(scenario.services)


async def turn_kill_switch_on(scenario: Scenario) -> None:
    await set_kill_switch(
        scenario.services, is_on=True, by="ada@contoso.example", reason="INC-4411 <b>"
    )
    scenario.world.clock.advance(timedelta(minutes=7))


async def show_page(
    headers: Mapping[str, str] = BROWSER, query: Mapping[str, str] = NOTHING
) -> Reply:
    reply = await call(dashboard_api.show_status_page, headers=headers, query=query)
    assert reply.status == 200, reply.text
    return reply


def find_headline(page: Reply) -> str:
    (found,) = re.findall(r"<h1[^>]*>(.*?)</h1>", page.text, re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", found)).strip()


def list_titles(page: Reply) -> list[str]:
    return [unescape(one) for one in re.findall(r"<div><h[23]>([^<]+)</h[23]>", page.text)]


async def send_form(handler: Any, fields: Mapping[str, str], identity: str = "") -> Reply:
    headers = {"Content-Type": FORM, "Referer": "https://app.example/api/dashboard"}
    done = await call(
        handler, urlencode(fields).encode(), id=identity or None, headers=headers | OWN | BROWSER
    )
    assert done.status == 303, done.text
    path, _, query = done.headers["Location"].partition("?")
    assert path == "/api/dashboard"
    return await show_page(query=dict(parse_qsl(query)))


async def add_environment(
    services: Services, number: int, state: EnvironmentJobState, **more: Any
) -> None:
    environment_id = f"e0000000-0000-4000-8000-{number:012d}"
    remediation = Remediation(
        mode=RemediationMode.APPLY,
        start_source=StartSource.POLICY_EVENT,
        idempotency_key=f"link {number}",
        created_at=services.now,
        environment_ids=(environment_id,),
    )
    entry = HistoryEntry(changed_at=services.now, state=state, message="")
    values: dict[str, Any] = {"not_migrated": {}, "planned_at": services.now} | more
    job = EnvironmentJob(
        id=build_environment_job_id(remediation.id, environment_id),
        remediation_id=remediation.id,
        environment_id=environment_id,
        environment_name=f"Team {number}",
        mode=RemediationMode.APPLY,
        state=state,
        history=(entry,),
        **values,
    )
    await services.tables.remediations.upsert(remediation)
    await services.tables.environment_jobs.upsert(job)


async def test_action_for_a_plan_links_to_the_plan(scenario: Scenario) -> None:
    await start_remediation(scenario, approve=False)

    page = await show_page()

    assert find_headline(page) == "1 action required"
    assert list_titles(page) == ["A plan for 3 flows awaits approval"]
    link = f'href="/api/dashboard/remediations/{scenario.remediation.id}/plan">Review plan'
    assert link in page.text
    assert "0 of 3 flows on your key" in page.text
    assert "3 await approval" in page.text
    assert "for the approver · expires in 7 days" in page.text
    assert "No flow is in progress." in page.text


async def test_blocked_flow_is_retried_from_its_line(scenario: Scenario) -> None:
    await start_remediation(scenario)
    await scenario.block_flow("Orders")
    await scenario.block_flow("Returns", code="sharing_rejected")
    before = await show_page()

    fields = read_hidden_fields(before, f"/api/remediations/{scenario.remediation.id}/retry")
    after = await send_form(
        remediation_actions_api.retry_remediation, fields, identity=scenario.remediation.id
    )

    assert find_headline(before) == "2 actions required"
    assert "Fix first: Name another owner." in before.text
    assert "Retried 1 job." in after.text
    (left,) = list_titles(after)
    retried = {
        "owner_unavailable": "1 flow blocked: sharing rejected",
        "sharing_rejected": "1 flow blocked: the owner is not available",
    }
    assert left == retried[fields["reason_code"]]


async def test_kill_switch_banner_names_person_reason_and_time(
    scenario: Scenario,
) -> None:
    await start_remediation(scenario)
    await turn_kill_switch_on(scenario)

    page = await show_page()

    assert find_headline(page) == "No other action required"
    assert list_titles(page) == []
    assert "ada@contoso.example turned the kill switch on at" in page.text
    assert "7 min ago" in page.text
    assert "INC-4411 &lt;b&gt;" in page.text
    assert "3 flows wait for the kill switch." in page.text
    assert f"{scenario.build.environment.display_name}: 3 flows continue." in page.text
    assert page.text.index('role="alert"') < page.text.index("<main")


async def test_kill_switch_is_turned_off_by_its_banner_and_on_again(scenario: Scenario) -> None:
    await start_remediation(scenario)
    await turn_kill_switch_on(scenario)

    assert read_hidden_fields(await show_page(), "/api/kill-switch/off") == {}
    off = await send_form(
        kill_switch_api.turn_kill_switch_off, {"changed_by": "Eve", "justification": "Fixed."}
    )
    on = await send_form(
        kill_switch_api.turn_kill_switch_on, {"changed_by": "Eve", "justification": "Again."}
    )

    assert "The kill switch is off." in off.text
    assert find_headline(off) == "No action required"
    assert read_hidden_fields(off, "/api/kill-switch/on") == {}
    assert "Eve turned the kill switch on" in on.text
    switch = (await call(status_api.show_status)).document["health"]["kill_switch"]
    assert (switch["changed_by"], switch["justification"]) == ("Eve", "Again.")


async def test_kill_switch_needs_a_justification(scenario: Scenario) -> None:
    await turn_kill_switch_on(scenario)
    provide(scenario.services)

    reply = await call(
        kill_switch_api.turn_kill_switch_off,
        urlencode({"changed_by": "Eve"}).encode(),
        headers={"Content-Type": FORM} | OWN | BROWSER,
    )

    assert reply.status == 400
    assert "Changes are stopped" in (await show_page()).text


async def test_unreadable_kill_switch_is_treated_as_on(scenario: Scenario) -> None:
    await turn_kill_switch_on(scenario)
    rows = scenario.fakes.store.rows
    (name,) = [one for one in rows if one[0] == "killswitch"]
    rows[name] = replace(rows[name], columns={**rows[name].columns, "data0": "{"})
    provide(scenario.services)

    page = await show_page()

    assert "The app cannot read the kill switch and treats it as on." in page.text
    assert "turned the kill switch on at" not in page.text
    off = await send_form(
        kill_switch_api.turn_kill_switch_off, {"changed_by": "Eve", "justification": "Fixed."}
    )
    assert "Changes are stopped" not in off.text


async def test_headline_counts_flows_not_migrated_by_a_completed_remediation(
    scenario: Scenario,
) -> None:
    await scenario.opt_in(max_flows=1)
    await start_remediation(scenario)
    await scenario.run(timedelta(days=60))
    provide(scenario.services)

    page = await show_page()

    assert list_titles(page) == []
    assert find_headline(page) == "2 flows are not migrated"
    assert "1 of 3 flows on your key" in page.text
    assert "2 beyond the flow limit" in page.text


async def test_headline_is_no_action_required_if_all_flows_are_migrated(scenario: Scenario) -> None:
    await start_remediation(scenario)
    await scenario.run(timedelta(days=60))
    provide(scenario.services)

    page = await show_page()

    assert find_headline(page) == "No action required"
    assert "Every flow that was found is on your key." in page.text
    assert "3 of 3 flows on your key" in page.text


async def test_new_app_links_to_the_environments(scenario: Scenario) -> None:
    page = await show_page()

    assert find_headline(page) == "No remediation yet"
    assert "flows on your key" not in page.text
    assert 'href="/api/dashboard/environments"' in page.text


async def test_unreadable_rows_are_an_action(scenario: Scenario) -> None:
    """An unreadable row may hide another action."""
    await start_remediation(scenario)
    await scenario.run(timedelta(days=60))
    rows = scenario.fakes.store.rows
    (name,) = [one for one in rows if one[0] == "environmentjobs"]
    rows[name] = replace(rows[name], columns={**rows[name].columns, "data0": "{"})
    provide(scenario.services)

    page = await show_page()

    assert "No action required" not in find_headline(page)
    assert "This version of the app cannot read 1 row" in page.text


async def test_page_of_two_hundred_environments_shows_urgent_actions_and_all_totals(
    scenario: Scenario,
) -> None:
    await start_remediation(scenario)
    for number in range(1, 200):
        await add_environment(
            scenario.services,
            number,
            EnvironmentJobState.AWAITING_APPROVAL,
            planned_action_counts={"copy": 10},
            awaiting_approval_count=10,
            approval_expires_at=scenario.services.now + timedelta(days=7),
        )
    await add_environment(
        scenario.services, 200, EnvironmentJobState.BLOCKED, reason_code="key_not_applied"
    )
    provide(scenario.services)

    page = await show_page()

    assert find_headline(page) == "200 actions required"
    assert list_titles(page)[0] == "The remediation is blocked: key not applied"
    assert "0 of 1,993 flows on your key" in page.text
    assert "180 more actions" in page.text
    assert "181 more environments" in page.text
    assert len(page.content) <= MOST_BYTES


async def test_reader_sees_the_required_role_instead_of_a_form(scenario: Scenario) -> None:
    await start_remediation(scenario)
    await scenario.block_flow("Orders")
    await turn_kill_switch_on(scenario)
    provide(scenario.services)

    page = await show_page(BROWSER | build_sign_in_header("rita@contoso.example", [Role.READER]))

    assert "<form" not in page.text
    [described] = re.findall(r'aria-describedby="([^"]+)">Turn off kill switch<', page.text)
    reason = f'<p class="why" id="{described}">You need the role operator. Ask an administrator'
    assert reason in page.text
    assert 'title="You need' not in page.text
    assert "Retry is possible after the kill switch is off" in page.text


async def test_person_without_roles_sees_the_fix_and_can_sign_out(
    scenario: Scenario,
) -> None:
    page = await call(
        dashboard_api.show_status_page,
        headers=BROWSER | build_sign_in_header("nora@contoso.example", []),
    )

    assert (page.status, page.media_type) == (403, "text/html")
    assert "nora@contoso.example has no role in this app. The role reader is required." in page.text
    assert "Open the overview" not in page.text
    assert '<nav aria-label="Main"><a' not in page.text
    assert "Ask an administrator to assign the app role reader" in page.text
    assert 'href="/.auth/logout"' in page.text


async def test_only_pages_of_a_session_link_to_the_sign_out(scenario: Scenario) -> None:
    with_session = await show_page(BROWSER | build_sign_in_header("ada@contoso.example"))
    with_key = await show_page()
    failed_with_key = await call(dashboard_api.show_unknown_page, headers=BROWSER)

    assert 'href="/.auth/logout"' in with_session.text
    assert "logout" not in with_key.text
    assert "logout" not in failed_with_key.text


async def test_unknown_page_links_to_the_pages(scenario: Scenario) -> None:
    page = await call(dashboard_api.show_unknown_page, headers=BROWSER)

    assert (page.status, page.media_type) == (404, "text/html")
    assert find_headline(page) == "Not found"
    assert "The dashboard has no page with this URL." in page.text
    for address in ("/api/dashboard", "/api/dashboard/environments", "/api/dashboard/remediations"):
        assert f'href="{address}"' in page.text


def test_unknown_page_is_the_last_route_that_the_host_tries() -> None:
    """The Functions host takes the first matching route in the order of function names.

    See github.com/Azure/azure-functions-host/issues/9876
    """
    names = [route.name for route in LISTED if route.path.startswith("dashboard")]

    assert UNKNOWN_PAGE.name > max(names)


async def test_headline_counts_every_flow_that_is_not_migrated(scenario: Scenario) -> None:
    await start_remediation(scenario)
    status = await show_status(scenario.services)
    settled = {NotMigratedReason.IN_PROGRESS, NotMigratedReason.EXCLUDED}

    for why in NotMigratedReason:
        said = headline_of(replace(status, not_migrated={why: 2}), [])

        expected = "No action required" if why in settled else "2 flows are not migrated"
        assert (said.text, said.look == "done") == (expected, why in settled), why


async def test_page_counts_environments_that_are_being_planned(scenario: Scenario) -> None:
    await add_environment(
        scenario.services, 1, EnvironmentJobState.DISCOVERING, planned_at=None, not_migrated=None
    )
    provide(scenario.services)

    page = await show_page()

    assert find_headline(page) == "No action required"
    assert "The app is assessing or planning 1 environment." in page.text
    assert "The flows are not known yet" in page.text

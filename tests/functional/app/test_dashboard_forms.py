import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import dashboard_api, environments_api, firewall_fixes_api, remediation_actions_api
from functions.dashboard.page_actions import (
    PageAction,
    build_firewall_fix_action,
    list_flow_actions,
    list_remediation_actions,
)
from functions.dashboard.page_layout import PageContext
from functions.dashboard.remediation_page import RemediationPageChoice, build_remediation_page
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.use_cases.manage_firewall_fixes import propose_fixes
from shared.use_cases.show_flow import show_flow
from shared.use_cases.show_remediation import show_remediation
from tests.functional.app.dashboard_scenario import run_until_no_call_period
from tests.functional.rolling_back.test_replay import build_cut_over_scenario
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.firewall_scenario import (
    GROUP,
    build_guarded_scenario,
    list_issue_names,
)
from tests.functional.scenarios.remediation_scenario import Scenario

OWN = {"Sec-Fetch-Site": "same-origin"}
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Host": "app.example"}
EVERYBODY = Principal(name="a", roles=frozenset(Role), kind=PrincipalKind.USER)


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_parent("Close of day", scenario.build.add_http_flow("Orders"))
    scenario.build.add_http_flow("Invoices")
    scenario.build.add_keyword_flow("Keyword")
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


async def send_form(
    scenario: Scenario, handler: object, headers: dict[str, str] | None = None, **fields: str
) -> Reply:
    there = f"https://app.example/api/dashboard/remediations/{scenario.remediation.id}"
    return await call(
        handler,  # type: ignore[arg-type]  # a handler of the app
        urlencode([(name.replace("__", "[]"), value) for name, value in fields.items()]).encode(),
        id=scenario.remediation.id,
        headers={
            "Content-Type": FORM,
            "Accept": "text/html",
            "Referer": there,
            "Host": "app.example",
        }
        | (OWN if headers is None else headers),
    )


async def list_actions(
    scenario: Scenario, principal: Principal = EVERYBODY
) -> dict[str, PageAction]:
    shown = await show_remediation(scenario.services, scenario.remediation.id)
    found = list_remediation_actions(shown, principal, scenario.services.now)
    return {deed.action.rpartition("/")[2]: deed for deed in found}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none", "Origin": "https://app.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://[evil.example"},
        {},
    ],
)
async def test_form_of_another_site_is_rejected(
    scenario: Scenario, headers: dict[str, str]
) -> None:
    """A browser may send the session cookie with such a form, too."""
    refused = await send_form(scenario, remediation_actions_api.cancel_remediation, headers)
    await scenario.run(timedelta(minutes=30))

    assert refused.status == 403
    assert refused.media_type == "text/html"
    (job,) = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    assert job.state == "awaiting_approval"


@pytest.mark.parametrize("headers", [OWN, {"Origin": "https://app.example"}])
async def test_form_of_a_page_of_the_app_is_accepted(
    scenario: Scenario, headers: dict[str, str]
) -> None:
    """Older browsers send only the header `Origin`."""
    done = await send_form(scenario, remediation_actions_api.cancel_remediation, headers)

    assert done.status == 303
    (job,) = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    assert job.state == "cancelled"


async def test_rejected_form_has_a_page_with_fix_and_link_back(
    scenario: Scenario,
) -> None:
    stale = await send_form(
        scenario,
        remediation_actions_api.approve_remediation,
        versions__="0" * 16,
        included_flow_ids__="f1",
        approved_by="Ada",
    )
    wrong = await send_form(
        scenario,
        remediation_actions_api.approve_remediation,
        versions__="latest",
        included_flow_ids__="f1",
        approved_by="Ada",
    )

    assert (stale.status, wrong.status) == (409, 400)
    assert "No plan that awaits approval has version" in stale.text
    for page in (stale, wrong):
        assert page.media_type == "text/html"
        assert f'href="/api/dashboard/remediations/{scenario.remediation.id}"' in page.text


@pytest.mark.parametrize(
    "referer",
    ["https://evil.example//evil.example/api/dashboard", "https://[evil.example/api", ""],
)
async def test_form_redirects_to_pages_of_the_dashboard_only(
    scenario: Scenario, referer: str
) -> None:
    done = await send_form(
        scenario, remediation_actions_api.cancel_remediation, OWN | {"Referer": referer}
    )

    path, _, query = done.headers["Location"].partition("?")
    assert path == "/api/dashboard"
    home = await call(dashboard_api.show_status_page, query=dict(parse_qsl(query)))
    assert home.status == 200
    assert "Cancelled. No flow had to be rolled back." in home.text


async def test_form_redirects_to_the_list_of_remediations(scenario: Scenario) -> None:
    there = {"Referer": "https://app.example/api/dashboard/remediations?state=stuck"}
    done = await send_form(scenario, remediation_actions_api.cancel_remediation, OWN | there)

    path, _, query = done.headers["Location"].partition("?")
    assert path == "/api/dashboard/remediations"
    page = await call(dashboard_api.show_remediations_page, query=dict(parse_qsl(query)))
    assert page.status == 200


async def test_retry_does_what_its_form_announces(scenario: Scenario) -> None:
    await run_until_no_call_period(scenario)
    await scenario.block_flow("Invoices")

    retry = (await list_actions(scenario))["retry"]
    done = await send_form(scenario, remediation_actions_api.retry_remediation)

    assert retry.does == (
        "Invoices: retried from the step where it stopped (checking for calls).",
        "3 flows that wait are checked again now.",
        "A flow whose reason is not fixed is blocked again.",
    )
    assert done.headers["Location"].endswith("?completed_action=retry&flow_count=4")
    assert (await scenario.read_job("Invoices")).state is FlowJobState.CHECKING_FOR_CALLS


async def test_rollback_of_a_flow_names_and_includes_dependent_flows(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    jobs = await scenario.read_jobs()
    detail = await show_flow(scenario.services, scenario.remediation.id, jobs["Orders"].original.id)
    found = list_flow_actions(
        detail.flow.job, detail.dependent_flows, EVERYBODY, scenario.services.now
    )
    [deed] = [deed for deed in found if deed.action.endswith("rollback")]
    assert deed.title == "Roll back 2 dependent flows"
    assert deed.does[0] == "Originals turned on again: Close of day."
    assert "copies turned off: Close of day, Orders" in deed.does[1]

    [(_, orders)] = deed.fields
    done = await send_form(
        scenario, remediation_actions_api.roll_back_remediation, flow_ids__=orders
    )
    await scenario.run(timedelta(days=30))

    assert done.headers["Location"].endswith("flow_count=2")
    ends = {title: job.state for title, job in (await scenario.read_jobs()).items()}
    assert ends["Orders"] == ends["Close of day"] == FlowJobState.ROLLED_BACK
    assert ends["Invoices"] is not FlowJobState.ROLLED_BACK


async def test_cancel_changes_the_flows_that_its_form_counts(scenario: Scenario) -> None:
    cancel = (await list_actions(scenario))["cancel"]
    assert cancel.does == ("No further flows start, including those that await approval.",)
    assert "rollback" not in await list_actions(scenario)
    await run_until_no_call_period(scenario)

    done = await send_form(
        scenario, remediation_actions_api.cancel_remediation, accept_replay="true"
    )

    assert done.headers["Location"].endswith("?completed_action=cancel&flow_count=4")
    await scenario.run(timedelta(days=30))
    assert await list_actions(scenario) == {}


async def test_form_asks_for_consent_to_the_backlog_replay() -> None:
    scenario, _ = await build_cut_over_scenario()
    provide(scenario.services)

    asked = {what: deed.accepts for what, deed in (await list_actions(scenario)).items()}
    without = await send_form(scenario, remediation_actions_api.roll_back_remediation)
    name, text = asked["rollback"]
    accepted = await send_form(
        scenario, remediation_actions_api.roll_back_remediation, accept_replay="true"
    )

    assert set(asked) == {"cancel", "rollback"}
    assert name == "accept_replay"
    assert asked["cancel"] == asked["rollback"]
    assert "process all events since they were turned off" in text
    assert text in unescape(without.text)
    assert (without.status, accepted.status) == (409, 303)


async def test_actions_name_the_required_role(scenario: Scenario) -> None:
    await run_until_no_call_period(scenario)
    await scenario.block_flow("Invoices")
    reader = Principal(name="r", roles=frozenset({Role.READER}), kind=PrincipalKind.USER)

    found = await list_actions(scenario, reader)

    assert {deed.unavailable_reason for deed in found.values()} == {
        "You need the role operator. Ask an administrator to assign it."
    }
    assert not any(deed.name_field for deed in found.values())


async def test_form_cannot_ignore_an_unknown_firewall_issue(scenario: Scenario) -> None:
    there = f"/api/dashboard/remediations/{scenario.remediation.id}"
    reply = await call(
        environments_api.ignore_issue,
        urlencode({"issue": "no-such-gap", "justification": "I say so"}).encode(),
        id=scenario.build.environment.id,
        headers={"Content-Type": FORM, "Referer": f"https://app.example{there}", **BROWSER, **OWN},
    )

    assert reply.status == 404
    assert "No issue no-such-gap" in unescape(reply.text)
    assert f'href="{there}"' in reply.text


async def build_blocking_firewall(kind: str) -> tuple[Scenario, str, str]:
    scenario = await build_guarded_scenario(kind)
    await scenario.order()
    provide(scenario.services)
    [name] = await list_issue_names(scenario)
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    link = re.search(r'href="[^"]+\?(firewall_fix=[^"#]+)#firewall-fix"', page.text)
    assert link is not None
    assert "network/firewall-fixes" not in page.text  # nothing is read from Azure unasked
    asked = dict(parse_qsl(unescape(link[1])))
    assert asked == {"firewall_fix": name, "environment": scenario.build.environment.id}
    shown = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id, query=asked)
    return scenario, name, unescape(shown.text)


async def test_form_applies_the_firewall_fix_that_its_page_shows() -> None:
    scenario, name, shown = await build_blocking_firewall(GROUP)
    form = re.search(
        r'<form method="post" action="/api/network/firewall-fixes".*?</form>', shown, re.S
    )
    assert form is not None
    assert f'name="resource" value="{name}"' in form[0]
    assert 'name="requested_by"' in form[0]
    assert "The app will allow PowerPlatformPlex." in shown
    environment = scenario.build.environment
    assert f"for the flows of {environment.display_name}." in shown
    assert f'name="environment" value="{environment.id}"' in form[0]
    assert "az network nsg rule create" in shown

    done = await send_form(
        scenario,
        firewall_fixes_api.apply_firewall_fix,
        resource=name,
        environment=environment.id,
        requested_by="Ada",
    )
    after = await call(
        dashboard_api.show_remediation_page,
        id=scenario.remediation.id,
        query={"firewall_fix": name, "environment": environment.id},
    )

    assert done.status == 303
    assert done.headers["Location"].endswith(
        f"{scenario.remediation.id}?completed_action=firewall-fixes&flow_count=1"
    )
    assert await list_issue_names(scenario) == []
    assert "has no firewall issue" in unescape(after.text)
    assert "/api/network/firewall-fixes" not in after.text


async def test_fix_that_only_a_person_can_apply_has_no_button() -> None:
    _, _, shown = await build_blocking_firewall("storage_account")

    assert "make this change yourself" in shown
    assert "az storage account network-rule add" in shown
    assert "/api/network/firewall-fixes" not in shown


async def test_firewall_fix_requires_the_role_approver() -> None:
    scenario = await build_guarded_scenario(GROUP)
    await scenario.order()
    job = await scenario.read_environment_job()
    operator = Principal(name="o", roles=frozenset({Role.OPERATOR}), kind=PrincipalKind.USER)
    [shown] = await propose_fixes(scenario.services)

    list_actions = [build_firewall_fix_action(shown, job, who) for who in (operator, EVERYBODY)]

    refusals = [deed and deed.unavailable_reason for deed in list_actions]
    assert refusals == ["You need the role approver. Ask an administrator to assign it.", ""]


async def test_firewall_issue_of_two_environments_has_a_form_for_each() -> None:
    scenario = await build_guarded_scenario(GROUP)
    await scenario.order()
    shown = await show_remediation(scenario.services, scenario.remediation.id)
    [job] = shown.environment_jobs
    both = replace(shown, environment_jobs=(job, replace(job, environment_id="other")))

    view = PageContext(principal=EVERYBODY, now=scenario.services.now)
    page = build_remediation_page(view, both, [], RemediationPageChoice())

    orders = re.findall(r'action="/api/environments/([^/]+)/ignored-issues"', page)
    assert orders == [job.environment_id, "other"]

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from functions import (
    audit_api,
    audit_page_api,
    dashboard_api,
    environments_api,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.use_cases.seal_audit_log import seal_audit_log
from shared.use_cases.show_remediation import show_plan
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA = build_sign_in_header("anna@contoso.example")
LEE = build_sign_in_header("lee@contoso.example")
EVE = build_sign_in_header("eve@contoso.example", [Role.READER])
NO_ROLE = "eve@contoso.example does not have the role operator. Roles: reader."


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(settings=build_fake_settings(evidence_key=KEY_URL))
    add_evidence_key(scenario.world)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    provide(scenario.services)
    return scenario


async def change_settings(scenario: Scenario, **settings: object) -> None:
    identity = scenario.build.environment.id
    path = f"environments/{identity}"
    reply = await call(
        environments_api.update_environment_settings, settings, id=identity, headers=ANNA, path=path
    )
    assert reply.status == 200, reply.text


async def start_remediation(scenario: Scenario) -> str:
    scenario.world.clock.advance(timedelta(seconds=1))  # after the rejections of this hour
    await change_settings(scenario, approval_policy="required")
    scenario.world.clock.advance(timedelta(seconds=1))
    body = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}
    reply = await call(remediations_api.start_remediation, body, headers=ANNA, path="remediations")
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    return str(reply.document["id"])


async def retry_flows(identity: str, *flow_ids: str) -> None:
    await call(
        remediation_actions_api.retry_remediation,
        {"flow_ids": flow_ids} if flow_ids else {},
        id=identity,
        headers=ANNA,
        path=f"remediations/{identity}/retry",
    )


async def send_rejected_request() -> None:
    await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "justification": "odd"},
        headers=EVE,
        path="kill-switch",
    )


async def show_page(**query: str) -> Reply:
    reply = await call(audit_page_api.show_audit_page, headers=EVE, query=query)
    assert reply.status == 200, reply.text
    return reply


def extract_lines(page: Reply) -> list[str]:
    rows = re.findall(r"<tr[^>]*><td.*?</tr>", page.text, re.DOTALL)
    rows = [re.sub(r"<dl.*?</dl>", "", row, flags=re.DOTALL) for row in rows]
    texts = [" ".join(unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in rows]
    return [re.sub(r"Details of .*?:\d\d:\d\d ", "", text) for text in texts]


async def export_entries(file: str, **query: str) -> Reply:
    query |= {"format": file}
    reply = await call(audit_api.export_audit, headers=EVE, query=query)
    assert reply.status == 200, reply.text
    return reply


async def test_each_entry_is_one_line_with_names_instead_of_ids(scenario: Scenario) -> None:
    identity = await start_remediation(scenario)
    (flow,) = scenario.build.environment.flows.values()
    await retry_flows(identity, flow.workflow_id)
    await send_rejected_request()

    page = await show_page()
    name, short = scenario.build.environment.display_name, identity[:8]

    mode = f"mode apply; environment ids {name}"
    settings = "approval policy read only → required"
    assert [line.split(" ", 2)[2] for line in extract_lines(page)] == [
        f"anna@contoso.example Retried blocked flows : {name} #{short} , Orders Done",
        f"anna@contoso.example Started a remediation : {name} #{short} {mode} Done",
        f"anna@contoso.example Changed the settings : {name} {settings} Done",
        f"eve@contoso.example Tried to set the kill switch {NO_ROLE} Rejected",
    ]
    there = f"/api/dashboard/remediations/{identity}"
    assert f'href="{there}/flows/{flow.workflow_id}" title="{flow.workflow_id}"' in page.text
    assert f'href="{there}" title="{identity}"' in page.text
    assert "id-anna@contoso.example" in page.text


async def test_page_names_the_time_zone(scenario: Scenario) -> None:
    page = (await call(audit_page_api.show_audit_page, headers=ANNA)).text

    assert "Times are UTC." in page


async def test_lines_name_the_reason_the_version_and_the_page(scenario: Scenario) -> None:
    identity = await start_remediation(scenario)
    (plan,) = await show_plan(scenario.services, identity)
    approval = {"versions": [plan.version]}
    path = f"remediations/{identity}/approve"
    approve = remediation_actions_api.approve_remediation
    await call(approve, approval, id=identity, headers=LEE, path=path)
    for turn in ("on", "off"):
        await call(
            getattr(kill_switch_api, f"turn_kill_switch_{turn}"),
            {"justification": f"Turned {turn} for a test."},
            headers=ANNA,
            path=f"kill-switch/{turn}",
        )
    nobody = build_sign_in_header("nora@contoso.example", [])
    await call(dashboard_api.show_status_page, headers=nobody, path="dashboard")

    lines = extract_lines(await show_page())
    name = scenario.build.environment.display_name

    assert any("the kill switch on Reason: Turned on for a test. Done" in one for one in lines)
    assert any("the kill switch off Reason: Turned off for a test. Done" in one for one in lines)
    assert any(f" {name}: version {plan.version} Done" in one for one in lines)
    assert any(
        "Tried to open the overview page nora@contoso.example has no role" in one for one in lines
    )


async def test_entry_about_an_unknown_remediation_has_its_id_and_no_link(
    scenario: Scenario,
) -> None:
    await retry_flows("11111111-0000-4000-8000-000000000000", "No/such flow")

    page = await show_page()

    (line,) = extract_lines(page)
    assert "Tried to retry blocked flows : #11111111 , No/such flow" in line
    assert "/api/dashboard/remediations/11111111" not in page.text


async def test_filters_are_in_the_address_and_apply_to_the_exports(scenario: Scenario) -> None:
    identity = await start_remediation(scenario)
    await retry_flows(identity)
    scenario.world.clock.advance(timedelta(days=1))
    await send_rejected_request()
    today = f"{scenario.services.now:%Y-%m-%d}"
    yesterday = f"{scenario.services.now - timedelta(days=1):%Y-%m-%d}"

    async def find_operations(**query: str) -> list[str]:
        page = len(extract_lines(await show_page(**query)))
        rows = list(csv.DictReader(io.StringIO((await export_entries("csv", **query)).text[1:])))
        items = (await export_entries("json", **query)).document["items"]
        assert page == len(rows) == len(items)
        return [one["operation"] for one in items]

    everything = await find_operations()
    assert len(everything) == 4
    assert (
        await find_operations(who="EVE")
        == await find_operations(who="id-eve@contoso.example")
        == everything[:1]
    )
    assert await find_operations(operation="retry_remediation") == ["retry_remediation"]
    assert await find_operations(result="rejected") == ["set_kill_switch"]
    assert await find_operations(remediation=identity) == ["retry_remediation", "start_remediation"]
    assert (
        await find_operations(environment=scenario.build.environment.id.upper()) == everything[1:]
    )
    assert await find_operations(environment="11111111-0000-4000-8000-000000000000") == []
    assert await find_operations(since=today) == everything[:1]
    assert await find_operations(until=yesterday) == everything[1:]
    assert await find_operations(since=yesterday, until=today) == everything
    page = await show_page(who="eve", since=today)
    exported = f"/api/audit/export?who=eve&amp;since={today}&amp;format=csv"
    assert f'href="{exported}"' in page.text


@pytest.mark.parametrize("query", [{"since": "2026-02-30"}, {"operation": "Retry!"}, {"who2": "a"}])
async def test_invalid_filter_is_rejected(query: dict[str, str]) -> None:
    """If the page ignored an invalid filter, it would show entries that nobody asked for."""
    provide(Scenario().services)

    reply = await call(audit_page_api.show_audit_page, headers=EVE, query=query)

    assert reply.status == 400


async def test_pages_list_each_entry_once(scenario: Scenario) -> None:
    for number in range(1, 8):
        await change_settings(scenario, max_flows=number)
        scenario.world.clock.advance(timedelta(seconds=1))
    await send_rejected_request()

    seen: list[str] = []
    query = {"who": "anna", "limit": "3"}
    while True:
        page = await show_page(**query)
        seen += re.findall(r"max flows \d+ → (\d+)", page.text)
        older = re.search(r'href="[^"]*after=([^"&]+)">Older', page.text)
        if not older:
            break
        query["after"] = older[1]

    assert list(dict.fromkeys(seen)) == ["7", "6", "5", "4", "3", "2", "1"]
    assert 'href="/api/dashboard/audit?who=anna&amp;limit=3">Newest' in page.text


async def test_page_with_few_matches_links_to_the_rest_of_the_log(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page searches only a limited part of the log at once."""
    await send_rejected_request()
    for number in range(1, 8):
        scenario.world.clock.advance(timedelta(minutes=1))
        await change_settings(scenario, max_flows=number)
    monkeypatch.setattr(
        "shared.use_cases.show_audit.show_audit.__kwdefaults__", _build_small_page()
    )

    first = await show_page(who="eve")
    (more,) = re.findall(r'href="[^"]*after=([^"&]+)">Search further back', first.text)
    second = await show_page(who="eve", after=more)

    assert extract_lines(first) == []
    assert "in the part of the log that was searched" in first.text
    assert len(extract_lines(second)) == 1


def _build_small_page() -> dict[str, Any]:
    return {"after": "", "row_limit": 10}


async def test_unreadable_row_does_not_hide_other_entries(scenario: Scenario) -> None:
    for number in range(1, 4):
        await change_settings(scenario, max_flows=number)
        scenario.world.clock.advance(timedelta(seconds=1))
    rows = scenario.fakes.store.rows
    damaged = sorted(name for name in rows if name[0] == "auditlog")[2]
    rows[damaged] = replace(rows[damaged], columns={**rows[damaged].columns, "data0": "{"})

    page = await show_page()
    listed = (await call(audit_api.list_audit)).document
    exported = await export_entries("csv")

    assert len(extract_lines(page)) == 3  # of the damaged entry, its request is readable
    assert "Unknown" in extract_lines(page)[1]
    assert "This version of the app cannot read 1 row" in page.text
    assert damaged[2] in page.text
    assert [one["row"][2] for one in listed["unreadable_rows"]] == [damaged[2]]
    assert damaged[2] in exported.text


async def test_page_names_entries_that_differ_from_their_seal(
    scenario: Scenario,
) -> None:
    for number in range(1, 5):
        await change_settings(scenario, max_flows=number)
        scenario.world.clock.advance(timedelta(seconds=1))
    scenario.world.clock.advance(timedelta(days=1))
    before = await show_page()
    await seal_audit_log(scenario.services)
    await change_settings(scenario, max_flows=9)
    intact = await show_page()
    rows = scenario.fakes.store.rows
    keys = sorted(name for name in rows if name[0] == "auditlog")
    newest, removed, changed = keys[0], keys[2], keys[4]
    del rows[removed]
    item = scenario.services.tables.audit_log.parse_row(rows[changed]).item
    forged = scenario.services.tables.audit_log.build_row(
        replace(item, who="mallory@contoso.example")
    )
    rows[changed] = replace(forged, etag="1")
    added = replace(item, id="22222222-0000-4000-8000-000000000000")
    await scenario.services.tables.audit_log.insert(added)
    del rows[newest]

    page = await show_page()
    named = re.findall(r"with id ([0-9a-f-]{36}) was (\w+) after seal 1", page.text)

    assert "No entry is sealed yet" in before.text
    assert "no sealed entry was removed, added or changed" in intact.text
    assert "Not sealed" in intact.text
    assert set(named) == {
        (removed[2][21:57], "removed"),
        (changed[2][21:57], "changed"),
        (added.id, "added"),
    }
    assert "no sealed entry was removed" not in page.text
    assert "Changed after seal 1" in page.text


async def test_page_reports_a_missing_list_of_a_seal(scenario: Scenario) -> None:
    """Without this list, the app cannot name the entries that differ from the seal."""
    await change_settings(scenario, max_flows=1)
    scenario.world.clock.advance(timedelta(days=1))
    await seal_audit_log(scenario.services)
    scenario.fakes.archive.contents.clear()

    page = await show_page()

    assert "The list of entries of seal 1 is missing" in page.text


async def test_page_explains_a_missing_key_and_a_missing_entry() -> None:
    provide(Scenario().services)

    page = await show_page()

    assert "No request has changed anything yet." in page.text
    assert "Entries are not sealed (optional: set" in page.text


async def test_export_contains_no_formula(scenario: Scenario) -> None:
    """A spreadsheet program runs a cell that begins with `=` as a formula."""
    headers = {"User-Agent": "=cmd|' /C calc'!A0"}
    body = {"is_on": True, "justification": "odd", "changed_by": "=1+1"}
    await call(kill_switch_api.set_kill_switch, body, headers=headers, path="kill-switch")

    rows = list(csv.reader(io.StringIO((await export_entries("csv")).text[1:])))

    cells = [cell for row in rows for cell in row]
    assert any("function key (=1+1)" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith("=")]


async def test_export_has_names_of_environments(scenario: Scenario) -> None:
    await change_settings(scenario, max_flows=1)
    await start_remediation(scenario)

    (started, *_, changed) = csv.DictReader(io.StringIO((await export_entries("csv")).text[1:]))

    name = scenario.build.environment.display_name
    assert (changed["action"], changed["about"]) == ("Changed the settings", name)
    assert changed["target"].endswith(scenario.build.environment.id)
    assert started["changes"] == f"mode apply; environment ids {name}"


async def test_export_with_too_many_entries_is_marked_incomplete(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 5):
        await change_settings(scenario, max_flows=number)
    monkeypatch.setattr(audit_api, "MOST_EXPORTED", 3)

    in_part, last = (
        await export_entries("json"),
        await export_entries("json", operation="retry_remediation"),
    )

    assert "-incomplete.json" in in_part.headers["Content-Disposition"]
    assert len(in_part.document["items"]) == 3
    assert in_part.document["next"]
    assert "incomplete" not in last.headers["Content-Disposition"]


async def test_live_update_returns_only_changed_sections(scenario: Scenario) -> None:
    await change_settings(scenario, max_flows=1)
    page = await show_page()
    known = {"Live-Sections": " ".join(re.findall(r'data-live="(\w+)"', page.text))}

    same = await call(audit_page_api.show_audit_page, headers=EVE | known)
    await change_settings(scenario, max_flows=2)
    changed = await call(audit_page_api.show_audit_page, headers=EVE | known)

    assert not re.search(r"data-live[ >]", page.text)
    assert same.status == 204
    assert changed.status == 200
    assert 'id="list"' in changed.text
    assert 'aria-label="Main"' not in changed.text

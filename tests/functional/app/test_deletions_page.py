import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import deletions_api, deletions_page_api
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.flow import FlowState
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.principal import Role
from shared.use_cases.compare_job_index import compare_job_index
from tests.functional.app.dashboard_scenario import read_hidden_fields, read_text
from tests.functional.deleting.deletion_scenario import (
    BY,
    DAY,
    build_retired_scenario,
    find_original,
    read_deletions,
    request_deletions,
    run_on_default_date,
)
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA = build_sign_in_header("anna@contoso.example")
EVE = build_sign_in_header("eve@contoso.example", [Role.READER])


@pytest.fixture
async def scenario() -> Scenario:
    scenario = await build_retired_scenario(
        lambda s: [s.build.add_http_flow(name) for name in ("Orders", "Bills", "<b>Labels</b>")]
    )
    for _ in range(2):  # the second comparison counts the closed jobs
        await compare_job_index(scenario.services)
        scenario.world.clock.advance(timedelta(hours=2))
    provide(scenario.services)
    return scenario


def find_workflow_id(scenario: Scenario, title: str) -> str:
    return find_original(scenario, title).workflow_id


async def show_page(headers: dict[str, str] = EVE, /, **query: str) -> Reply:
    reply = await call(deletions_page_api.show_deletions_page, headers=headers, query=query)
    assert reply.status == 200, reply.text
    return reply


def list_titles(page: Reply) -> list[str]:
    names = re.findall(r'<(?:th scope="row"|li data-part[^>]*)><a [^>]+>([^<]+)</a>', page.text)
    return [unescape(one) for one in names]


async def send_form(handler: object, scenario: Scenario, sent: dict[str, str]) -> Reply:
    headers = {
        "Content-Type": FORM,
        "Accept": "text/html",
        "Referer": "https://app.example/api/dashboard/deletions?state=scheduled",
        "Host": "app.example",
        "Sec-Fetch-Site": "same-origin",
    }
    done = await call(
        handler,  # type: ignore[arg-type]  # a handler of the app
        urlencode(sent).encode(),
        id=scenario.remediation.id,
        headers=headers | ANNA,
    )
    assert done.status == 303, done.text
    path, _, query = done.headers["Location"].partition("?")
    assert path == "/api/dashboard/deletions"
    return await show_page(ANNA, **dict(parse_qsl(query)))


async def test_deletions_are_grouped_by_approver_and_date(scenario: Scenario) -> None:
    await request_deletions(
        scenario,
        find_workflow_id(scenario, "Orders"),
        find_workflow_id(scenario, "<b>"),
        within=DAY,
    )
    await request_deletions(
        scenario, find_workflow_id(scenario, "Bills"), within=3 * DAY, by="bert@contoso.example"
    )

    page = await show_page()
    first = scenario.services.now + DAY

    text = read_text(page)
    assert f"3 originals will be deleted, from {first:%-d %B %Y}" in text
    assert list_titles(page) == ["<b>Labels</b>", "Orders", "Bills"]
    short = scenario.remediation.id[:8]
    assert f"2 originals of Contoso #{short} , not before {first:%Y-%m-%d %H:%M} UTC" in text
    assert f"Scheduled and approved by {BY}" in text
    assert "On its date, the app archives the run summaries, checks everything" in text
    there = f"/api/dashboard/remediations/{scenario.remediation.id}/flows/"
    assert f'href="{there}{find_workflow_id(scenario, "Bills")}"' in page.text


async def test_a_blocked_deletion_comes_first_with_its_fix(scenario: Scenario) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"), within=DAY / 2)
    await request_deletions(scenario, find_workflow_id(scenario, "Bills"), within=DAY)
    find_original(scenario, "Bills").state = FlowState.ON
    await run_on_default_date(scenario)
    provide(scenario.services)

    page = await show_page()
    blocked = (await read_deletions(scenario))["Bills"]

    assert blocked.state is DeletionState.BLOCKED
    assert read_text(page, "h1") == "1 deletion blocked"
    assert list_titles(page) == ["Bills", "Orders"]
    assert blocked.fix.partition("`")[0] in read_text(page)
    assert page.text.count('<details class="fold" open>') == 1
    assert "restorable until" in read_text(page)


async def test_filters_apply_to_page_list_and_exports(scenario: Scenario) -> None:
    await request_deletions(scenario)
    kept = find_workflow_id(scenario, "Orders")
    await call(
        deletions_api.cancel_deletions,
        {"flow_ids": [kept], "cancelled_by": "tests"},
        id=scenario.remediation.id,
    )
    environment, identity = scenario.build.environment.id, scenario.remediation.id

    async def find_titles(**query: str) -> list[str]:
        page = list_titles(await show_page(**query))
        files = [
            await call(deletions_api.export_deletions, headers=EVE, query={**query, "format": one})
            for one in ("csv", "json")
        ]
        rows = list(csv.DictReader(io.StringIO(files[0].text[1:])))
        listed = await call(deletions_api.list_tenant_deletions, headers=EVE, query=query)
        assert page == [one["display_name"] for one in rows]
        for answer in (files[1].document, listed.document):
            assert page == [one["display_name"] for one in answer["items"]]
            assert answer["next"] == ""
        return page

    assert await find_titles() == ["<b>Labels</b>", "Bills", "Orders"]
    assert await find_titles(state="cancelled") == ["Orders"]
    assert await find_titles(search="bILL") == ["Bills"]
    assert await find_titles(search=kept) == ["Orders"]
    assert await find_titles(remediation=identity[:8].upper(), state="scheduled") == [
        "<b>Labels</b>",
        "Bills",
    ]
    assert await find_titles(environment=environment, remediation="0") == []
    assert await find_titles(environment="11111111-0000-4000-8000-000000000000") == []
    exported = 'href="/api/deletions/export?state=cancelled&amp;format=csv"'
    assert exported in (await show_page(state="cancelled")).text


async def test_export_has_the_next_step_of_each_deletion(scenario: Scenario) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"))

    reply = await call(deletions_api.export_deletions, headers=EVE, query={"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(reply.text[1:]))

    assert (row["environment_name"], row["approved_by"]) == ("Contoso", BY)
    assert row["next_step"].startswith("On its date, the app archives")
    assert row["remediation_id"] == scenario.remediation.id


async def test_cancel_keeps_the_originals_of_its_group_only(scenario: Scenario) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"), within=DAY)
    await request_deletions(scenario, find_workflow_id(scenario, "Bills"), within=3 * DAY)
    page = await show_page(ANNA)
    assert "Kept: Orders." in read_text(page)

    done = await send_form(
        deletions_api.cancel_deletions,
        scenario,
        read_hidden_fields(page, r"[^\"]*/deletions/cancel"),
    )

    assert "Cancelled 1 deletion. The originals are kept." in read_text(done)
    states = {title: one.state for title, one in (await read_deletions(scenario)).items()}
    assert states == {"Orders": DeletionState.CANCELLED, "Bills": DeletionState.SCHEDULED}


async def test_an_original_without_a_deletion_is_counted_and_can_be_scheduled(
    scenario: Scenario,
) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"))
    environment = scenario.build.environment.id

    counted = await show_page()
    listed = await show_page(ANNA, environment=environment, undeleted="true")
    sent = read_hidden_fields(listed, r"[^\"]*/deletions") | {
        "delete_at": f"{scenario.services.now + 2 * DAY:%Y-%m-%d}"
    }
    done = await send_form(deletions_api.schedule_deletions, scenario, sent)

    assert "Contoso: at least 2 originals." in read_text(counted)
    assert list_titles(listed) == ["<b>Labels</b>", "Bills"]
    assert "Its trigger URL stops working permanently" in read_text(listed)
    assert "Scheduled 2 deletions." in read_text(done)
    assert len(await read_deletions(scenario)) == 3
    assert "None is known." in read_text(done)


async def test_without_a_comparison_the_number_of_originals_is_not_shown() -> None:
    scenario = await build_retired_scenario()
    provide(scenario.services)

    page = await show_page()

    assert "The app does not know how many" in read_text(page)
    assert f"environment={scenario.build.environment.id}&amp;undeleted=true" in page.text
    assert "at least" not in read_text(page)


async def test_person_without_permission_sees_the_reason(scenario: Scenario) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"))
    environment = scenario.build.environment.id
    started = replace(
        scenario.remediation, started_by="anna", started_by_id="id-anna@contoso.example"
    )
    await scenario.services.tables.remediations.upsert(started)

    reader = await show_page()
    same = await show_page(ANNA, environment=environment, undeleted="true")

    assert '<form method="post"' not in reader.text
    assert "You need the role operator." in reader.text
    assert "started this remediation and cannot approve it" in same.text
    assert '<form method="post"' not in same.text


async def test_unreadable_row_does_not_hide_other_deletions(scenario: Scenario) -> None:
    await request_deletions(scenario)
    rows = scenario.fakes.store.rows
    damaged = min(name for name in rows if name[0] == "deletions")
    rows[damaged] = replace(rows[damaged], columns={**rows[damaged].columns, "data0": "{"})

    page = await show_page()
    undeleted = await show_page(environment=scenario.build.environment.id, undeleted="true")
    exported = await call(deletions_api.export_deletions, headers=EVE, query={"format": "json"})
    listed = await call(deletions_api.list_tenant_deletions, headers=EVE)

    assert len(list_titles(page)) == 2
    assert "This version of the app cannot read 1 row" in read_text(page)
    assert damaged[2] in page.text
    assert list_titles(undeleted) == []
    for answer in (exported.document, listed.document):
        assert [one["row"][2] for one in answer["unreadable_rows"]] == [damaged[2]]


async def test_a_large_group_is_shown_page_by_page(scenario: Scenario) -> None:
    (one,) = await request_deletions(scenario, find_workflow_id(scenario, "Orders"))
    await scenario.services.tables.deletions.upsert(
        *(replace(one, job_id=f"j-{n:03}", display_name=f"Flow {n}") for n in range(249))
    )

    pages = [await show_page(start=str(start)) for start in (0, 100, 200)]

    shown = [title for page in pages for title in list_titles(page)]
    assert shown == [*(f"Flow {n}" for n in range(249)), "Orders"]
    assert all("250 originals of Contoso" in read_text(page) for page in pages)
    assert 'href="/api/dashboard/deletions?start=100">Next' in pages[0].text
    assert "Next" not in pages[2].text


@pytest.mark.parametrize("number", [10, 11])
async def test_what_all_originals_of_a_group_have_in_common_is_shown_once(
    scenario: Scenario, number: int
) -> None:
    (one,) = await request_deletions(scenario, find_workflow_id(scenario, "Orders"))
    await scenario.services.tables.deletions.upsert(
        *(replace(one, job_id=f"j-{n}", display_name=f"Flow {n}") for n in range(number - 1))
    )

    page = await show_page()

    assert len(list_titles(page)) == number
    assert page.text.count("On its date, the app archives") == 1
    assert page.text.count(f"pproved by {BY}") == 1
    assert page.text.count('<details class="fold" open>') == (number == 10)


async def test_list_has_each_deletion_on_one_page(scenario: Scenario) -> None:
    await request_deletions(scenario)
    pages = []
    after = ""
    while True:
        query = {"limit": "2", "after": after}
        page = await call(deletions_api.list_tenant_deletions, headers=EVE, query=query)
        pages.append([one["display_name"] for one in page.document["items"]])
        if not (after := page.document["next"]):
            break
    unknown = await call(deletions_api.list_tenant_deletions, headers=EVE, query={"after": "x"})

    assert pages == [["<b>Labels</b>", "Bills"], ["Orders"]]
    assert unknown.status == 404


async def test_page_without_deletions_explains_the_first_step() -> None:
    provide(Scenario().services)

    page = await show_page()

    assert read_text(page, "h1") == "No deletion is scheduled"
    assert "After an original is retired, an approver can schedule its deletion" in read_text(page)


async def test_live_update_returns_only_changed_sections(scenario: Scenario) -> None:
    await request_deletions(scenario, find_workflow_id(scenario, "Orders"))
    page = await show_page()
    known = {"Live-Sections": " ".join(re.findall(r'data-live="(\w+)"', page.text))}

    same = await call(deletions_page_api.show_deletions_page, headers=EVE | known)
    await request_deletions(scenario, find_workflow_id(scenario, "Bills"))
    changed = await call(deletions_page_api.show_deletions_page, headers=EVE | known)

    assert not re.search(r"data-live[ >]", page.text)
    assert same.status == 204
    assert changed.status == 200
    assert 'id="list"' in changed.text
    assert 'aria-label="Main"' not in changed.text

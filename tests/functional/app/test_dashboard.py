"""The pages of the dashboard show the rows of scenarios and load only files of the app."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from azure.functions import HttpResponse

from functions import dashboard_api, plan_page_api
from functions.dashboard.page_layout import read_assets
from shared.bootstrap import provide
from shared.domain.callers.caller_records import CallerState
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite
from shared.domain.plans.remediation import FirewallIssueSummary
from shared.jobs.request_demands import flow_job_demand
from shared.reason import Reason
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def scenario() -> Scenario:
    """Dependent flows, a flow with a caller, and one with markup in its title; the plan waits."""
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    child = scenario.build.http_flow("Orders")
    scenario.build.parent("Close of day", child)
    scenario.build.variable_caller(scenario.build.http_flow("<b>Invoices</b>"))
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    provide(scenario.services)
    return scenario


def find_flow_id(scenario: Scenario, title: str) -> str:
    """Return the workflow id of a flow."""
    flows = scenario.build.environment.flows.values()
    return next(
        show_flow_page.workflow_id for show_flow_page in flows if show_flow_page.name == title
    )


async def show_remediation_page(scenario: Scenario, **query: str) -> Reply:
    """Return the page of the scenario's remediation."""
    return await call(dashboard_api.show_remediation_page, id=scenario.remediation.id, query=query)


async def show_flow_page(scenario: Scenario, title: str, **query: str) -> Reply:
    """Return the page of one flow."""
    return await call(
        dashboard_api.show_flow_page,
        id=scenario.remediation.id,
        params={"flow": find_flow_id(scenario, title)},
        query=query,
    )


async def run_until_no_call_period(scenario: Scenario) -> None:
    """Approve the plan, and let the app work until the no-call period."""
    await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=6))
    provide(scenario.services)


async def block_flow(scenario: Scenario, title: str) -> None:
    """Block a flow before its copy is verified."""
    job = await scenario.job(title)
    blocked = stop_with_reason(
        job, FlowJobState.BLOCKED, "Its owner has left.", "Name another owner.",
        code="owner_unavailable", now=scenario.services.now,
    )  # fmt: skip
    await scenario.services.tables.flow_jobs.upsert(blocked)


def list_flows(page: Reply) -> list[tuple[str, str]]:
    """Return the titles and states of the list of flows."""
    found = []
    for row in re.findall(r"<li[^>]*><b><a .*?</li>", page.text, re.DOTALL):
        title = re.search(r">([^<>]+)</a>", row)
        words = re.search(r"<span[^>]*>([^<>]+)</span></span>", row)
        assert title is not None
        found.append((unescape(title[1]), words[1] if words else ""))
    return found


async def test_overview_links_to_the_plan_that_awaits_approval(scenario: Scenario) -> None:
    """The plan that awaits approval is one link away."""
    page = await call(dashboard_api.show_status_page)

    assert page.status == 200
    assert re.search(r"<h1[^>]*>.*?1 action required</h1>", page.text)
    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}/plan"' in page.text
    assert "Contoso" in page.text


async def test_remediation_page_lists_blocked_flows_first_and_filters_by_query(
    scenario: Scenario,
) -> None:
    """Blocked flows are first. The filter is in the address, so it survives a reload."""
    await run_until_no_call_period(scenario)
    await block_flow(scenario, "Orders")

    everything = list_flows(await show_remediation_page(scenario, state="all"))
    blocked = list_flows(await show_remediation_page(scenario, state="blocked"))
    found = list_flows(await show_remediation_page(scenario, search="close"))

    assert len(everything) == 3
    assert everything[0] == ("Orders", "Not retired") == blocked[0]
    assert len(blocked) == 1
    assert [title for title, _ in found] == ["Close of day"]


async def test_live_sections_exist_from_the_start(scenario: Scenario) -> None:
    """Each part that may appear later has a place in the page from the start."""

    async def parts() -> list[list[str]]:
        pages = [
            await call(dashboard_api.show_status_page),
            await call(dashboard_api.show_remediations_page),
            await show_remediation_page(scenario),
            await show_flow_page(scenario, "Orders"),
        ]
        return [re.findall(r'id="([^"]+)" data-live="', page.text) for page in pages]

    before = await parts()
    await run_until_no_call_period(scenario)
    await block_flow(scenario, "Orders")

    assert await parts() == before
    assert all(before)


def read_hashes(page: Reply) -> dict[str, str]:
    """Return the header that a browser with this page sends."""
    return {"Live-Sections": " ".join(re.findall(r'data-(?:live|part)="(\w+)"', page.text))}


async def test_live_update_gets_the_changed_sections_or_an_empty_response(
    scenario: Scenario,
) -> None:
    """Each section of each page has a hash, and an end by which it is found."""
    await run_until_no_call_period(scenario)
    flow_id = find_flow_id(scenario, "Orders")
    pages: list[tuple[Callable[..., Awaitable[HttpResponse]], dict[str, Any]]] = [
        (dashboard_api.show_status_page, {}),
        (dashboard_api.show_environments_page, {}),
        (dashboard_api.show_remediations_page, {}),
        (dashboard_api.show_remediation_page, {"id": scenario.remediation.id}),
        (
            dashboard_api.show_flow_page,
            {"id": scenario.remediation.id, "params": {"flow": flow_id}},
        ),
    ]
    before = [await call(show, **where) for show, where in pages]
    for (show, where), page in zip(pages, before, strict=True):
        assert 'data-live="' in page.text
        assert not re.search(r"data-(live|part)[ >]", page.text)
        same = await call(show, **where, headers=read_hashes(page))
        assert (same.status, same.content) == (204, b"")
        assert same.headers["Cache-Control"] == "no-store"

    await block_flow(scenario, "Orders")
    for (show, where), page in zip(pages, before, strict=True):
        sections = await call(show, **where, headers=read_hashes(page))
        assert sections.status == 200
        assert 'aria-label="Main"' not in sections.text
        assert len(sections.content) < len(page.content)
    everything = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    changed = await call(
        dashboard_api.show_remediation_page,
        id=scenario.remediation.id,
        headers=read_hashes(before[3]),
    )
    assert "Its owner has left." in changed.text
    assert set(re.findall(r'id="([^"]+)" data-live', changed.text)) >= {"progress", "causes"}
    other = f'/flows/{find_flow_id(scenario, "<b>Invoices</b>")}"'
    # Entries in the history are sent that are in one line with an entry of Orders.
    assert changed.text.count(other) < everything.text.count(other)


async def test_remediation_page_lists_planned_actions_before_the_approval(
    scenario: Scenario,
) -> None:
    """Before there are flow jobs, the page lists the planned actions."""
    page = await show_remediation_page(scenario)
    listed = await show_remediation_page(scenario, state="awaiting")

    assert "3 flows await approval" in page.text
    assert "<div>Copy with dependent flows</div>" in page.text
    assert ("Orders", "Awaits approval") in list_flows(listed)
    assert "Review the plan" in page.text


async def test_names_from_the_tenant_are_escaped(scenario: Scenario) -> None:
    """Every page shows a name from the tenant as text, never as markup."""
    await run_until_no_call_period(scenario)
    pages = [
        await show_remediation_page(scenario),
        await show_flow_page(scenario, "<b>Invoices</b>"),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await call(
            plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
        ),
    ]

    for page in pages:
        assert page.status == 200
        assert "&lt;b&gt;Invoices" in page.text
        assert "<b>Invoices" not in page.text


async def test_control_and_bidirectional_characters_of_names_are_replaced() -> None:
    """Every page replaces control and bidirectional characters, and keeps text of any script."""
    name = "Orders \u202egpj.exe\x1b[2J\x07\u2066\r\u2028 خبر 👩\u200d🚀"
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.parent(f"Parent {name}", scenario.build.http_flow(name))
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    provide(scenario.services)
    pages = [
        await call(dashboard_api.show_status_page),
        await call(dashboard_api.show_remediations_page),
        await show_remediation_page(scenario),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await show_flow_page(scenario, name),
    ]

    for page in pages:
        assert page.status == 200
        assert not set(page.text) & set("\u202e\x1b\x07\u2066\r\u2028")
    assert sum("Orders �gpj.exe�[2J" in page.text for page in pages) >= 3
    assert sum("خبر 👩\u200d🚀" in page.text for page in pages) >= 3


async def test_pages_load_only_assets_of_the_app_with_a_hash_in_their_name(
    scenario: Scenario,
) -> None:
    """No page contains style or script, and each file in it exists."""
    pages = [
        await call(dashboard_api.show_status_page),
        await call(dashboard_api.show_remediations_page),
        await show_remediation_page(scenario),
        await show_flow_page(scenario, "Orders"),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
    ]

    every = set[str]()
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", page.text)
        loaded = set(re.findall(r'(?:src|href)="/api/dashboard/assets/([^"]+)"', page.text))
        assert len(loaded) in {3, 4}  # a style sheet, the icon and scripts
        every |= loaded
    assert every == set(read_assets())
    for name, (kind, text) in read_assets().items():
        file = await call(dashboard_api.show_asset, params={"name": name})
        assert (file.media_type, file.text) == (kind, text)
        assert "immutable" in file.headers["Cache-Control"]
    assert (await call(dashboard_api.show_asset, params={"name": "0-css"})).status == 404


async def test_exported_plan_loads_nothing_and_has_no_form(
    scenario: Scenario,
) -> None:
    """The file can be sent to others: it loads nothing and has no form."""
    page = await call(
        plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
    )

    assert "style-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert not any(word in page.text for word in ("<script", "<link", "<form", "src="))


async def test_flow_page_shows_original_copy_callers_and_steps(
    scenario: Scenario,
) -> None:
    """The page shows the callers' values before and after, without a signature."""
    await run_until_no_call_period(scenario)
    job = await scenario.job("<b>Invoices</b>")

    page = await show_flow_page(scenario, "<b>Invoices</b>")

    assert job.copy_id in page.text
    ((before, after),) = re.findall(
        r"<dt>Before</dt><dd><code>([^<]+)</code></dd><dt>After</dt><dd><code>([^<]+)<", page.text
    )
    assert job.original_url_id in before
    assert job.copy_url_id in after
    assert "sig=" not in page.text
    steps = re.findall(r"<time>[^<]+</time>.*?<div>([A-Z][a-z ]+)", page.text)
    assert steps == [change.state.replace("_", " ").capitalize() for change in job.history[::-1]]


async def test_flow_page_shows_duration_and_requests_of_each_history_entry(
    scenario: Scenario,
) -> None:
    """Times are to the second. Without requests, or if none were counted, no number is shown."""
    await run_until_no_call_period(scenario)
    job = await scenario.job("Orders")
    first, second, *rest = job.history
    counted = (replace(first, requests=12), replace(second, requests=1), *rest)
    await scenario.services.tables.flow_jobs.upsert(replace(job, history=counted))

    page = await show_flow_page(scenario, "Orders")

    entries = re.findall(r"<li><time>(.*?)</li>", page.text)
    requests = [re.findall(r"· (\d+ requests?)", unescape(entry)) for entry in entries[::-1]]
    assert requests == [["12 requests"], ["1 request"], *([] for _ in rest)]
    assert f"{first.changed_at:%Y-%m-%d %H:%M:%S}" in entries[-1]
    assert "· lasted 60 s" in unescape("".join(entries))


async def test_flow_page_marks_planned_changes_that_are_made(
    scenario: Scenario,
) -> None:
    """The copy exists and its caller names it; the original is not turned off yet."""
    before = await show_flow_page(scenario, "<b>Invoices</b>")
    await run_until_no_call_period(scenario)

    page = await show_flow_page(scenario, "<b>Invoices</b>")

    def made(text: str) -> list[str]:
        changes = r'<use href="#i-(\w+)"/></svg><span>([^<]+)<span class="vh">: (?:not|made)'
        return [unescape(name) for icon, name in re.findall(changes, text) if icon == "ok"]

    assert made(before.text) == []
    assert "create the flow <b>Invoices</b> (CMK), off, for the original's owner" in made(page.text)
    assert "turn the copy on" in made(page.text)
    assert not any("turn <b>Invoices</b> off" in text for text in made(page.text))


async def test_flow_page_of_blocked_flow_shows_fix_button_and_that_original_is_on(
    scenario: Scenario,
) -> None:
    """The fix is above everything else, and the path shows where the flow stopped."""
    await run_until_no_call_period(scenario)
    await block_flow(scenario, "Orders")

    page = await show_flow_page(scenario, "Orders")

    assert "The original is still on." in page.text
    stopped = re.search(r'<li class="stop" aria-current="step"><b>.*?</svg>([^<]+)<', page.text)
    assert stopped is not None
    assert stopped[1] == "No calls"
    assert page.text.index("Name another owner.") < page.text.index("Original and copy</h2>")
    assert '<summary class="button ">Retry</summary>' in page.text


async def test_flow_page_does_not_show_the_original_as_on_after_it_was_turned_off(
    scenario: Scenario,
) -> None:
    """Once the app has sent the write, its rows do not show that the original is on."""
    await run_until_no_call_period(scenario)
    job = await scenario.job("Orders")
    now = scenario.services.now
    off = FlowStateWrite(
        state=FlowState.OFF, first_sent_at=now, last_sent_at=now, reads_valid_from=now
    )
    await scenario.services.tables.flow_jobs.upsert(replace(job, original_write=off))

    page = await show_flow_page(scenario, "Orders")

    assert "The original is still on." not in page.text


async def test_flow_page_links_firewall_issue_to_its_fix(scenario: Scenario) -> None:
    """The page links to the fix if the message of the job names the firewall.

    A firewall that the plan named is past for a flow with a verified copy.
    """
    await run_until_no_call_period(scenario)
    environment_job = await scenario.environment_job()
    issue = FirewallIssueSummary(
        name="erp & more",
        kind="app_service",
        firewall_name="erp",
        missing_prefixes=("192.0.2.0/24",),
        fix="Allow it.",
        workflow_ids=(find_flow_id(scenario, "Close of day"),),
        flow_count=2,
    )
    await scenario.services.tables.environment_jobs.upsert(
        replace(environment_job, firewall_issues=(issue,))
    )
    job = await scenario.job("Orders")
    message = "These firewalls deny the copy of Orders: nsg, erp."
    denied = stop_with_reason(
        job, FlowJobState.BLOCKED, message, "Allow them.",
        code=Reason.FIREWALL_DENIES, now=scenario.services.now,
    )  # fmt: skip
    await scenario.services.tables.flow_jobs.upsert(denied)

    named = await show_flow_page(scenario, "Close of day")
    blocked = await show_flow_page(scenario, "Orders")
    other = await show_flow_page(scenario, "<b>Invoices</b>")

    link = "?firewall_fix=erp%20%26%20more&amp;environment="
    assert "firewall_fix" not in named.text
    assert (
        "<b>erp</b>. When planned: 1 address range missing. It does not block the remediation of "
        "this flow."
    ) in named.text
    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}{link}' in blocked.text
    assert ">Show fix for erp</a>" in blocked.text
    assert "firewall_fix" not in other.text
    listed = await show_remediation_page(scenario)
    assert "1 firewall denies 1 address range of the copies." in listed.text
    assert "<div>Firewall erp<" in (await show_remediation_page(scenario, state="blocked")).text


async def test_page_of_a_retired_flow_shows_that_its_copy_has_replaced_it(
    scenario: Scenario,
) -> None:
    """A flow in progress is not replaced yet, and a note for a person is something to do."""
    await run_until_no_call_period(scenario)
    replaced = "The copy on your key has replaced the original."
    before = await show_flow_page(scenario, "Orders")
    retired = replace(await scenario.job("Orders"), state=FlowJobState.RETIRED, message="")
    await scenario.services.tables.flow_jobs.upsert(retired)
    after = await show_flow_page(scenario, "Orders")
    await scenario.services.tables.flow_jobs.upsert(replace(retired, notes=("Check it.",)))
    checked = await show_flow_page(scenario, "Orders")

    assert replaced not in before.text
    assert f"{replaced} Nothing to do." in after.text
    assert f"{replaced}</p>" in checked.text


async def test_flow_page_counts_pending_callers_after_other_callers_were_updated(
    scenario: Scenario,
) -> None:
    """A manual caller is counted as pending only after the other callers were updated."""
    await run_until_no_call_period(scenario)
    job = await scenario.job("<b>Invoices</b>")
    (record,) = await scenario.services.tables.callers.all(job.id)
    by_hand = replace(record, state=CallerState.MANUAL)
    before = await show_flow_page(scenario, "<b>Invoices</b>")
    await scenario.services.tables.callers.upsert(by_hand)
    after = await show_flow_page(scenario, "<b>Invoices</b>")
    await scenario.services.tables.flow_jobs.upsert(replace(job, observation_started_at=None))
    earlier = await show_flow_page(scenario, "<b>Invoices</b>")

    assert "1 pending caller" in after.text
    assert "pending caller" not in before.text + earlier.text


async def test_flow_page_shows_the_number_of_requests_that_a_waiting_job_needs(
    scenario: Scenario,
) -> None:
    """The page shows the next check, and the number of requests that the job needs."""
    await run_until_no_call_period(scenario)
    job = await scenario.job("Orders")
    need = flow_job_demand(job)
    assert need is not None

    page = await show_flow_page(scenario, "Orders")

    assert f"It needs {need.requests} request" in page.text


async def test_flow_page_compares_definitions_only_on_request(
    scenario: Scenario,
) -> None:
    """The page compares definitions only on request, and names places but no values."""
    await run_until_no_call_period(scenario)
    compared = await show_flow_page(scenario, "Close of day", compare="true")
    scenario.world.environments.clear()  # whoever asks the platform now gets no answer
    plain = await show_flow_page(scenario, "Close of day")

    assert "Compare now" in plain.text
    assert "/properties/definition/actions/Run_child_1" in compared.text
    assert "No differences." in compared.text
    assert (await scenario.job("Orders")).copy_id not in compared.text


async def test_flow_page_without_definitions_shows_the_stored_rows(
    scenario: Scenario,
) -> None:
    """If the environment is gone, the page says so and shows what is stored."""
    await run_until_no_call_period(scenario)
    scenario.world.environments.clear()

    page = await show_flow_page(scenario, "Orders", compare="true")

    assert page.status == 200
    assert "The app could not read the definitions" in page.text
    assert "Close of day" in page.text


async def test_unknown_remediation_flow_and_filter_have_an_error_page(scenario: Scenario) -> None:
    """An unknown remediation, flow or filter has a page that reports the error."""
    found = [
        await call(dashboard_api.show_remediation_page, id=NOWHERE),
        await call(
            dashboard_api.show_flow_page, id=scenario.remediation.id, params={"flow": NOWHERE}
        ),
        await show_remediation_page(scenario, state="<b>"),
    ]

    assert [page.status for page in found] == [404, 404, 400]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await call(dashboard_api.show_remediation_page, id=NOWHERE, headers=browser)
    assert (page.status, page.media_type) == (404, "text/html")
    assert f"No remediation {NOWHERE}." in page.text


async def test_list_links_to_each_remediation(scenario: Scenario) -> None:
    """Each remediation has a link."""
    page = await call(dashboard_api.show_remediations_page)

    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}"' in page.text
    assert "Awaiting approval" in page.text


async def test_list_counts_the_flows_that_are_migrated(scenario: Scenario) -> None:
    """Closed flow jobs count, as on the page of the environments."""
    await scenario.approve(run=timedelta(days=40))

    page = await call(dashboard_api.show_remediations_page)

    counts = re.search(r'aria-label="(\d+) of (\d+) flows on your key"', page.text)
    assert counts
    assert counts[1] == counts[2] != "0"

"""The pages of the dashboard, of scenarios on fakes: what they show and what they load."""

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


def identity(scenario: Scenario, title: str) -> str:
    """Return the workflow id of a flow."""
    flows = scenario.build.environment.flows.values()
    return next(flow.workflow_id for flow in flows if flow.name == title)


async def remediation(scenario: Scenario, **query: str) -> Reply:
    """Return the page of the scenario's remediation."""
    return await call(dashboard_api.show_remediation_page, id=scenario.remediation.id, query=query)


async def flow(scenario: Scenario, title: str, **query: str) -> Reply:
    """Return the page of one flow."""
    return await call(
        dashboard_api.show_flow_page,
        id=scenario.remediation.id,
        params={"flow": identity(scenario, title)},
        query=query,
    )


async def work(scenario: Scenario) -> None:
    """Approve the plan, and let the app work until the no-call period."""
    await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=6))
    provide(scenario.services)


async def block(scenario: Scenario, title: str) -> None:
    """Block a flow before its copy is verified."""
    job = await scenario.job(title)
    blocked = stop_with_reason(
        job, FlowJobState.BLOCKED, "Its owner has left.", "Name another owner.",
        code="owner_unavailable", now=scenario.services.now,
    )  # fmt: skip
    await scenario.services.tables.flow_jobs.upsert(blocked)


def lines(page: Reply) -> list[tuple[str, str]]:
    """Return the titles and states of the list of flows."""
    found = []
    for row in re.findall(r"<li[^>]*><b><a .*?</li>", page.text, re.DOTALL):
        title = re.search(r">([^<>]+)</a>", row)
        words = re.search(r"<span[^>]*>([^<>]+)</span></span>", row)
        assert title is not None
        found.append((unescape(title[1]), words[1] if words else ""))
    return found


async def test_the_overview_begins_with_what_waits_and_leads_there(scenario: Scenario) -> None:
    """The plan that awaits approval is one link away."""
    page = await call(dashboard_api.show_status_page)

    assert page.status == 200
    assert re.search(r"<h1[^>]*>.*?1 action required</h1>", page.text)
    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}/plan"' in page.text
    assert "Contoso" in page.text


async def test_a_remediation_lists_blocked_flows_first_and_filters_by_its_address(
    scenario: Scenario,
) -> None:
    """Blocked flows are first. The filter is in the address, so it survives a reload."""
    await work(scenario)
    await block(scenario, "Orders")

    everything = lines(await remediation(scenario, state="all"))
    blocked = lines(await remediation(scenario, state="blocked"))
    found = lines(await remediation(scenario, search="close"))

    assert len(everything) == 3
    assert everything[0] == ("Orders", "Not retired") == blocked[0]
    assert len(blocked) == 1
    assert [title for title, _ in found] == ["Close of day"]


async def test_what_is_kept_up_to_date_is_there_from_the_beginning(scenario: Scenario) -> None:
    """Each part that may appear later has a place in the page from the start."""

    async def parts() -> list[list[str]]:
        pages = [
            await call(dashboard_api.show_status_page),
            await call(dashboard_api.show_remediations_page),
            await remediation(scenario),
            await flow(scenario, "Orders"),
        ]
        return [re.findall(r'id="([^"]+)" data-live="', page.text) for page in pages]

    before = await parts()
    await work(scenario)
    await block(scenario, "Orders")

    assert await parts() == before
    assert all(before)


def hashes(page: Reply) -> dict[str, str]:
    """Return the header that a browser with this page sends."""
    return {"Live-Sections": " ".join(re.findall(r'data-(?:live|part)="(\w+)"', page.text))}


async def test_live_update_gets_the_changed_sections_or_an_empty_response(
    scenario: Scenario,
) -> None:
    """Each section of each page has a hash, and an end by which it is found."""
    await work(scenario)
    flow_id = identity(scenario, "Orders")
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
        same = await call(show, **where, headers=hashes(page))
        assert (same.status, same.content) == (204, b"")
        assert same.headers["Cache-Control"] == "no-store"

    await block(scenario, "Orders")
    for (show, where), page in zip(pages, before, strict=True):
        sections = await call(show, **where, headers=hashes(page))
        assert sections.status == 200
        assert 'aria-label="Main"' not in sections.text
        assert len(sections.content) < len(page.content)
    everything = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    changed = await call(
        dashboard_api.show_remediation_page, id=scenario.remediation.id, headers=hashes(before[3])
    )
    assert "Its owner has left." in changed.text
    assert set(re.findall(r'id="([^"]+)" data-live', changed.text)) >= {"progress", "causes"}
    other = f'/flows/{identity(scenario, "<b>Invoices</b>")}"'
    assert other in everything.text
    assert other not in changed.text


async def test_a_plan_that_waits_is_listed_by_what_it_would_do(scenario: Scenario) -> None:
    """Before there are flow jobs, the page lists the planned actions."""
    page = await remediation(scenario)
    listed = await remediation(scenario, state="awaiting")

    assert "3 flows await approval" in page.text
    assert "<div>Copy with dependent flows</div>" in page.text
    assert ("Orders", "Awaits approval") in lines(listed)
    assert "Review the plan" in page.text


async def test_names_from_the_tenant_are_text(scenario: Scenario) -> None:
    """Every page shows a name from the tenant as text, never as markup."""
    await work(scenario)
    pages = [
        await remediation(scenario),
        await flow(scenario, "<b>Invoices</b>"),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await call(
            plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
        ),
    ]

    for page in pages:
        assert page.status == 200
        assert "&lt;b&gt;Invoices" in page.text
        assert "<b>Invoices" not in page.text


async def test_no_name_changes_how_its_surroundings_look() -> None:
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
        await remediation(scenario),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await flow(scenario, name),
    ]

    for page in pages:
        assert page.status == 200
        assert not set(page.text) & set("\u202e\x1b\x07\u2066\r\u2028")
    assert sum("Orders �gpj.exe�[2J" in page.text for page in pages) >= 3
    assert sum("خبر 👩\u200d🚀" in page.text for page in pages) >= 3


async def test_pages_load_nothing_but_what_the_app_serves_under_a_name_with_its_hash(
    scenario: Scenario,
) -> None:
    """No page contains style or script, and each file in it exists."""
    pages = [
        await call(dashboard_api.show_status_page),
        await call(dashboard_api.show_remediations_page),
        await remediation(scenario),
        await flow(scenario, "Orders"),
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


async def test_a_plan_as_a_file_brings_its_style_by_its_hash_and_nothing_else(
    scenario: Scenario,
) -> None:
    """The file can be sent to others: it loads nothing and has no form."""
    page = await call(
        plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
    )

    assert "style-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert not any(word in page.text for word in ("<script", "<link", "<form", "src="))


async def test_a_flow_shows_both_sides_its_callers_before_and_after_and_each_step(
    scenario: Scenario,
) -> None:
    """The page shows the callers' values before and after, without a signature."""
    await work(scenario)
    job = await scenario.job("<b>Invoices</b>")

    page = await flow(scenario, "<b>Invoices</b>")

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
    await work(scenario)
    job = await scenario.job("Orders")
    first, second, *rest = job.history
    counted = (replace(first, requests=12), replace(second, requests=1), *rest)
    await scenario.services.tables.flow_jobs.upsert(replace(job, history=counted))

    page = await flow(scenario, "Orders")

    entries = re.findall(r"<li><time>(.*?)</li>", page.text)
    requests = [re.findall(r"· (\d+ requests?)", unescape(entry)) for entry in entries[::-1]]
    assert requests == [["12 requests"], ["1 request"], *([] for _ in rest)]
    assert f"{first.changed_at:%Y-%m-%d %H:%M:%S}" in entries[-1]
    assert "· for 60 s" in unescape("".join(entries))


async def test_flow_page_ticks_off_planned_changes_that_rows_show_as_made(
    scenario: Scenario,
) -> None:
    """The copy exists and its caller names it; the original is not turned off yet."""
    before = await flow(scenario, "<b>Invoices</b>")
    await work(scenario)

    page = await flow(scenario, "<b>Invoices</b>")

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
    await work(scenario)
    await block(scenario, "Orders")

    page = await flow(scenario, "Orders")

    assert "The original is still on." in page.text
    stopped = re.search(r'<li class="stop" aria-current="step"><b>.*?</svg>([^<]+)<', page.text)
    assert stopped is not None
    assert stopped[1] == "No calls"
    assert page.text.index("Name another owner.") < page.text.index("Original and copy</h2>")
    assert '<summary class="button primary">Retry</summary>' in page.text


async def test_flow_page_says_nothing_of_the_original_after_the_app_turned_it_off(
    scenario: Scenario,
) -> None:
    """Once the app has sent the write, its rows do not show that the original is on."""
    await work(scenario)
    job = await scenario.job("Orders")
    now = scenario.services.now
    off = FlowStateWrite(
        state=FlowState.OFF, first_sent_at=now, last_sent_at=now, reads_valid_from=now
    )
    await scenario.services.tables.flow_jobs.upsert(replace(job, original_write=off))

    page = await flow(scenario, "Orders")

    assert "The original is still on." not in page.text


async def test_flow_page_links_firewall_issue_to_its_fix(scenario: Scenario) -> None:
    """The page links to the fix if the issue or the message of the job names the flow."""
    await work(scenario)
    environment_job = await scenario.environment_job()
    issue = FirewallIssueSummary(
        name="erp & more",
        kind="app_service",
        firewall_name="erp",
        missing_prefixes=("192.0.2.0/24",),
        fix="Allow it.",
        workflow_ids=(identity(scenario, "Close of day"),),
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

    named = await flow(scenario, "Close of day")
    blocked = await flow(scenario, "Orders")
    other = await flow(scenario, "<b>Invoices</b>")

    link = "?firewall_fix=erp%20%26%20more&amp;environment="
    assert f'<a class="button" href="/api/dashboard/remediations/{scenario.remediation.id}' in (
        named.text
    )
    assert link in named.text
    assert link in blocked.text
    assert ">Show fix for erp</a>" in blocked.text
    assert "firewall_fix" not in other.text
    listed = await remediation(scenario)
    assert "1 firewall denies 1 address range of the copies." in listed.text
    assert "<div>Firewall erp<" in (await remediation(scenario, state="blocked")).text


async def test_callers_that_do_not_name_the_copy_are_told_once_it_has_taken_over(
    scenario: Scenario,
) -> None:
    """A manual caller counts as pending only after the other callers were updated."""
    await work(scenario)
    job = await scenario.job("<b>Invoices</b>")
    (record,) = await scenario.services.tables.callers.all(job.id)
    by_hand = replace(record, state=CallerState.MANUAL)
    before = await flow(scenario, "<b>Invoices</b>")
    await scenario.services.tables.callers.upsert(by_hand)
    after = await flow(scenario, "<b>Invoices</b>")
    await scenario.services.tables.flow_jobs.upsert(replace(job, observation_started_at=None))
    earlier = await flow(scenario, "<b>Invoices</b>")

    assert "1 pending caller" in after.text
    assert "pending caller" not in before.text + earlier.text


async def test_what_it_waits_for_calls_for_is_said(scenario: Scenario) -> None:
    """The page shows the next check, and the number of requests that the job needs."""
    await work(scenario)
    job = await scenario.job("Orders")
    need = flow_job_demand(job)
    assert need is not None

    page = await flow(scenario, "Orders")

    assert f"It needs {need.requests} request" in page.text


async def test_definitions_are_compared_where_that_is_asked_for_and_nowhere_else(
    scenario: Scenario,
) -> None:
    """The page compares definitions only on request, and names places but no values."""
    await work(scenario)
    compared = await flow(scenario, "Close of day", compare="true")
    scenario.world.environments.clear()  # whoever asks the platform now gets no answer
    plain = await flow(scenario, "Close of day")

    assert "Compare now" in plain.text
    assert "/properties/definition/actions/Run_child_1" in compared.text
    assert "No differences." in compared.text
    assert (await scenario.job("Orders")).copy_id not in compared.text


async def test_what_the_platform_refuses_to_tell_leaves_the_rest_of_the_page(
    scenario: Scenario,
) -> None:
    """If the environment is gone, the page says so and shows what is stored."""
    await work(scenario)
    scenario.world.environments.clear()

    page = await flow(scenario, "Orders", compare="true")

    assert page.status == 200
    assert "The app could not read the definitions" in page.text
    assert "Close of day" in page.text


async def test_what_is_not_there_is_said_so(scenario: Scenario) -> None:
    """An unknown remediation, flow or filter has a page that says so."""
    found = [
        await call(dashboard_api.show_remediation_page, id=NOWHERE),
        await call(
            dashboard_api.show_flow_page, id=scenario.remediation.id, params={"flow": NOWHERE}
        ),
        await remediation(scenario, state="<b>"),
    ]

    assert [page.status for page in found] == [404, 404, 400]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await call(dashboard_api.show_remediation_page, id=NOWHERE, headers=browser)
    assert (page.status, page.media_type) == (404, "text/html")
    assert f"No remediation {NOWHERE}." in page.text


async def test_lists_lead_to_every_remediation(scenario: Scenario) -> None:
    """Each remediation has a link."""
    page = await call(dashboard_api.show_remediations_page)

    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}"' in page.text
    assert "Awaiting approval" in page.text

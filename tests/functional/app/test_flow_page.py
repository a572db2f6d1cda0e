import re
from dataclasses import replace
from html import unescape

import pytest

from shared.domain.callers.caller_records import CallerState
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import Observation
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite
from shared.domain.plans.remediation import FirewallIssueSummary
from shared.jobs.request_demands import estimate_flow_job_demand
from shared.reason import Reason
from tests.functional.app.dashboard_scenario import (
    build_dashboard_scenario,
    find_flow_id,
    run_until_no_call_period,
    show_flow_page,
    show_remediation_page,
)
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_dashboard_scenario()


async def test_flow_page_shows_original_copy_callers_and_steps(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    job = await scenario.read_job("<b>Invoices</b>")

    page = await show_flow_page(scenario, "<b>Invoices</b>")

    assert job.copy.id in page.text
    ((before, after),) = re.findall(
        r"<dt>Before</dt><dd><code>([^<]+)</code></dd><dt>After</dt><dd><code>([^<]+)<", page.text
    )
    assert job.original.url_id in before
    assert job.copy.url_id in after
    assert "sig=" not in page.text
    steps = re.findall(r"<time>[^<]+</time>.*?<div>([A-Z][a-z ]+)", page.text)
    assert steps == [change.state.replace("_", " ").capitalize() for change in job.history[::-1]]


async def test_flow_page_shows_duration_and_requests_of_each_history_entry(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    job = await scenario.read_job("Orders")
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
    before = await show_flow_page(scenario, "<b>Invoices</b>")
    await run_until_no_call_period(scenario)

    page = await show_flow_page(scenario, "<b>Invoices</b>")

    def find_made_changes(text: str) -> list[str]:
        changes = r'<use href="#i-(\w+)"/></svg><span>([^<]+)<span class="vh">: (?:not|made)'
        return [unescape(name) for icon, name in re.findall(changes, text) if icon == "ok"]

    assert find_made_changes(before.text) == []
    assert (
        "create the flow <b>Invoices</b> (CMK), off, for the original's owner"
        in find_made_changes(page.text)
    )
    assert "turn the copy on" in find_made_changes(page.text)
    assert not any("turn <b>Invoices</b> off" in text for text in find_made_changes(page.text))


async def test_flow_page_of_blocked_flow_shows_fix_button_and_that_original_is_on(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    await scenario.block_flow("Orders")

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
    await run_until_no_call_period(scenario)
    job = await scenario.read_job("Orders")
    now = scenario.services.now
    off = FlowStateWrite(
        state=FlowState.OFF, first_sent_at=now, last_sent_at=now, reads_valid_from=now
    )
    await scenario.services.tables.flow_jobs.upsert(
        replace(job, original=replace(job.original, last_write=off))
    )

    page = await show_flow_page(scenario, "Orders")

    assert "The original is still on." not in page.text


async def test_flow_page_links_firewall_issue_to_its_fix(scenario: Scenario) -> None:
    await run_until_no_call_period(scenario)
    environment_job = await scenario.read_environment_job()
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
    message = "These firewalls deny the copy of Orders: nsg, erp."
    await scenario.block_flow(
        "Orders", message=message, fix="Allow them.", code=Reason.FIREWALL_DENIES
    )

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
    await run_until_no_call_period(scenario)
    replaced = "The copy on your key has replaced the original."
    before = await show_flow_page(scenario, "Orders")
    retired = replace(await scenario.read_job("Orders"), state=FlowJobState.RETIRED, message="")
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
    await run_until_no_call_period(scenario)
    job = await scenario.read_job("<b>Invoices</b>")
    (record,) = await scenario.services.tables.callers.read_all(job.id)
    by_hand = replace(record, state=CallerState.MANUAL)
    before = await show_flow_page(scenario, "<b>Invoices</b>")
    await scenario.services.tables.callers.upsert(by_hand)
    after = await show_flow_page(scenario, "<b>Invoices</b>")
    await scenario.services.tables.flow_jobs.upsert(replace(job, observation=Observation()))
    earlier = await show_flow_page(scenario, "<b>Invoices</b>")

    assert "1 pending caller" in after.text
    assert "pending caller" not in before.text + earlier.text


async def test_flow_page_shows_the_number_of_requests_that_a_waiting_job_needs(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    job = await scenario.read_job("Orders")
    need = estimate_flow_job_demand(job)
    assert need is not None

    page = await show_flow_page(scenario, "Orders")

    assert f"It needs {need.requests} request" in page.text


async def test_flow_page_compares_definitions_only_on_request(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    compared = await show_flow_page(scenario, "Close of day", compare="true")
    scenario.world.environments.clear()  # a request to the platform now finds no environment
    plain = await show_flow_page(scenario, "Close of day")

    assert "Compare now" in plain.text
    assert "/properties/definition/actions/Run_child_1" in compared.text
    assert "No differences." in compared.text
    assert (await scenario.read_job("Orders")).copy.id not in compared.text


async def test_flow_page_without_definitions_shows_the_stored_rows(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    scenario.world.environments.clear()

    page = await show_flow_page(scenario, "Orders", compare="true")

    assert page.status == 200
    assert "The app could not read the definitions" in page.text
    assert "Close of day" in page.text

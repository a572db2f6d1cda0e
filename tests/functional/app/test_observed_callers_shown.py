import json
from datetime import timedelta
from html import unescape

import pytest

from functions import dashboard_api, environments_api, remediations_api
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.run_jobs import run_flow
from tests.functional.app.evidence_scenario import export_evidence, extract_files, parse_lines
from tests.functional.app.test_environments_page import list_forms, send_form, show_page
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario

SECRET = "c2VjcmV0LXNpZ25hdHVyZS0xMjM0NTY3ODkw"
HEADERS = {
    "User-Agent": f"curl/8.5.0 ({SECRET})",
    "X-Forwarded-For": "203.0.113.7",
    "Authorization": f"Bearer {SECRET}",
    "Cookie": SECRET,
}


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    flow = scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation(observe_callers=True)
    await scenario.approve(run=timedelta(hours=3))
    assert (await scenario.read_job("Orders")).step is FlowJobState.CHECKING_FOR_CALLS
    for _ in range(2):
        scenario.world.clock.advance(timedelta(hours=2))
        run_flow(scenario.world, flow).headers = HEADERS
    await scenario.driver.call(lambda services: run_daily_check(services, "day"))
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    return scenario


async def test_api_lists_the_callers_of_an_original(scenario: Scenario) -> None:
    reply = await call(remediations_api.show_remediation, id=scenario.remediation.id)

    [original] = json.loads(reply.text)["observed_callers"]
    [caller] = original["callers"]
    assert original["display_name"] == "Orders"
    assert caller["first_at"] < caller["last_at"] <= original["read_until"]
    assert {name: caller[name] for name in ("label", "is_known", "source", "claims")} == {
        "label": "unknown caller",
        "is_known": False,
        "source": "other",
        "claims": "curl/8.5 from 203.0.113.0/24",
    }
    assert caller["call_count"] == 2
    assert SECRET not in reply.text


async def test_flow_page_shows_the_callers_of_an_original(scenario: Scenario) -> None:
    job = await scenario.read_job("Orders")

    page = await call(
        dashboard_api.show_flow_page, id=scenario.remediation.id, params={"flow": job.original.id}
    )

    callers = page.text.partition('id="callers"')[2].partition("<!--/callers-->")[0]
    assert "Calls to the original after its known callers were updated" in callers
    assert "claims to be curl/8.5 from 203.0.113.0/24" in callers
    assert "2 calls" in callers
    assert "Anyone who has the URL can send any header." in callers
    assert SECRET not in page.text


async def test_remediation_page_names_the_unknown_caller(scenario: Scenario) -> None:
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)

    assert "Unknown caller, 2 calls since" in unescape(page.text)
    assert "claims to be curl/8.5 from 203.0.113.0/24" in page.text


async def test_evidence_contains_the_callers_of_an_original(scenario: Scenario) -> None:
    files = extract_files(await export_evidence(scenario))

    [line] = parse_lines(files["flows.jsonl"])
    [caller] = line["observed_callers"]["callers"]
    assert (caller["label"], caller["call_count"]) == ("unknown caller", 2)
    assert "Callers of originals after the known callers were updated" in files["report.html"]
    assert "claims to be curl/8.5 from 203.0.113.0/24" in files["report.html"]
    assert SECRET not in str(files)


async def test_form_permits_to_read_callers_and_withdraws_it(scenario: Scenario) -> None:
    environment_id = scenario.build.environment.id
    table = scenario.services.tables.observed_callers
    assert await table.read_all(environment_id)

    for value, title in (("false", "Stop reading callers"), ("true", "Read callers from runs")):
        page = await show_page()
        [fields] = [
            fields for _, fields in list_forms(page) if fields.get("observe_callers[=]") == value
        ]
        assert title in page.text
        await send_form(environments_api.change_environment_settings, fields, environment_id)
        provide(scenario.services)
        (settings,) = await scenario.services.tables.environment_settings.read_all("environment")
        assert settings.observe_callers is (value == "true")

    assert "It stores no body and no other header." in page.text
    assert await table.read_all(environment_id) == []

from datetime import timedelta

import pytest

from functions import assessments_api, dashboard_api
from shared.bootstrap import provide
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA = build_sign_in_header("anna@contoso.example")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    provide(scenario.services)
    return scenario


async def test_start_returns_location_and_retry_after(scenario: Scenario) -> None:
    there = scenario.build.environment.id

    first = await call(assessments_api.start_assessment, {}, id=there.upper(), headers=ANNA)
    second = await call(assessments_api.start_assessment, id=there, headers=ANNA)

    assert first.status == second.status == 202
    assert first.headers["Location"] == f"/api/assessments/{first.document['id']}"
    assert first.headers["Retry-After"].isdigit()
    assert first.document == second.document
    assert (first.document["state"], first.document["assessment"]) == ("assessing", None)


async def test_background_assessment_has_the_result_of_an_immediate_one(
    scenario: Scenario,
) -> None:
    there = scenario.build.environment.id
    ordered = (await call(assessments_api.start_assessment, {}, id=there, headers=ANNA)).document
    assert ordered["progress"] is None

    await scenario.run(timedelta(minutes=5))

    shown = (await call(assessments_api.show_assessment_by_id, id=ordered["id"])).document
    at_once = (await call(assessments_api.show_assessment, id=there)).document
    assert shown["state"] == "completed"
    assert (shown["progress"]["flows"], shown["progress"]["source"]) == (1, "trigger_url")
    times = {"assessed_at": "", "callers_searched_at": ""}
    assert shown["assessment"] | times == at_once | times


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"vault": "v"}, 400),
        ({"callers_searched_since": 1_700_000_000}, 400),
        ({"callers_searched_since": "2026-03-02T09:00:00"}, 400),
        ({"policy": "no-such-policy"}, 404),
    ],
)
async def test_invalid_assessment_request_is_rejected(
    scenario: Scenario, body: dict[str, object], status: int
) -> None:
    there = scenario.build.environment.id

    refused = await call(assessments_api.start_assessment, body, id=there, headers=ANNA)

    assert refused.status == status
    assert await scenario.services.tables.remediations.read_all() == []


async def test_remediation_page_shows_progress_and_links_to_the_assessment(
    scenario: Scenario,
) -> None:
    there = scenario.build.environment.id
    ordered = (await call(assessments_api.start_assessment, {}, id=there, headers=ANNA)).document
    page = dashboard_api.show_remediation_page

    before = (await call(page, id=ordered["id"])).text
    await scenario.run(timedelta(minutes=5))
    after = (await call(page, id=ordered["id"])).text

    live = before.partition('<div id="environments" data-live=')[2]
    assert "Not started yet." in live
    assert "1 flow and 6 pages read." in after
    assert f'href="/api/assessments/{ordered["id"]}"' in after
    assert f"cmkflow assess show --resume {ordered['id']}" in after

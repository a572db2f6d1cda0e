import re
from datetime import timedelta
from typing import Any

import pytest

from functions import (
    dashboard_api,
    deletions_api,
    environments_api,
    plan_page_api,
    remediation_actions_api,
    remediations_api,
    run_archives_api,
)
from shared.bootstrap import provide
from tests.functional.app.dashboard_scenario import build_app_scenario
from tests.functional.scenarios.app_calls import Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    scenario = await build_app_scenario("Orders", "Orders", "Returns")
    await scenario.order()
    provide(scenario.services)
    return scenario


async def send_request(scenario: Scenario, what: str, flow: str) -> Reply:
    identity, flows = scenario.remediation.id, {"flow_ids": [flow]}
    environment = scenario.build.environment.id
    day = f"{scenario.services.now + timedelta(days=30):%Y-%m-%d}"
    plans = await call(remediations_api.show_plan, id=identity)
    version = plans.document["items"][0]["version"]
    match what:
        case "start":
            body: dict[str, Any] = {"mode": "dry_run", "environment_ids": [environment], **flows}
            return await call(remediations_api.start_remediation, body)
        case "approve":
            body = {"versions": [version], "approved_by": "admin", "excluded_flow_ids": [flow]}
            return await call(remediation_actions_api.approve_remediation, body, id=identity)
        case "exclude":
            body = {"excluded_flows": [flow]}
            return await call(environments_api.update_environment_settings, body, id=environment)
        case "page":
            params = {"flow": flow}
            return await call(dashboard_api.show_flow_page, id=identity, params=params)
        case "delete":
            body = {"delete_at": day, "approved_by": "admin", **flows}
            return await call(deletions_api.schedule_deletions, body, id=identity)
        case "keep":
            return await call(
                deletions_api.cancel_deletions, flows | {"cancelled_by": "a"}, id=identity
            )
        case "archive":
            return await call(run_archives_api.archive_runs, flows, id=identity)
        case "retry":
            return await call(remediation_actions_api.retry_remediation, flows, id=identity)
    return await call(remediation_actions_api.roll_back_remediation, flows, id=identity)


BEFORE = ["start", "approve", "exclude", "page", "retry"]
AFTER = ["page", "delete", "keep", "archive", "retry", "rollback"]


async def migrate_flows(scenario: Scenario) -> None:
    await scenario.approve(run=timedelta(days=60))
    provide(scenario.services)


@pytest.mark.parametrize("what", BEFORE)
async def test_requests_before_the_migration_accept_a_title(scenario: Scenario, what: str) -> None:
    assert (await send_request(scenario, what, "returns")).status in {200, 202}


@pytest.mark.parametrize("what", AFTER)
async def test_requests_after_the_migration_accept_a_title(scenario: Scenario, what: str) -> None:
    await migrate_flows(scenario)

    assert (await send_request(scenario, what, "Returns")).status in {200, 202}


@pytest.mark.parametrize("what", [*BEFORE, *AFTER[1:4], AFTER[5]])
async def test_title_of_several_flows_is_rejected_with_their_ids(
    scenario: Scenario, what: str
) -> None:
    ids = {
        flow.workflow_id
        for flow in scenario.build.environment.flows.values()
        if flow.name == "Orders"
    }
    if what not in BEFORE:
        await migrate_flows(scenario)

    several = await send_request(scenario, what, "Orders")
    none = await send_request(scenario, what, "Retuns")

    assert (several.status, none.status) == (404, 404)
    assert {one["id"] for one in several.document["suggestions"]} == ids
    assert [one["name"] for one in none.document["suggestions"]] == ["Returns"]


async def test_rows_and_responses_contain_the_id(scenario: Scenario) -> None:
    """The title of a flow may change."""
    (returns,) = [
        flow.workflow_id
        for flow in scenario.build.environment.flows.values()
        if flow.name == "Returns"
    ]
    started = await send_request(scenario, "start", "Returns")
    excluded = await send_request(scenario, "exclude", "Returns")
    await send_request(scenario, "approve", "Returns")
    again = await send_request(scenario, "approve", "Returns")

    assert started.document["flow_ids"] == [returns]
    assert excluded.document["settings"]["excluded_flows"] == [returns]
    assert (await scenario.read_environment_job()).excluded_from_approval == (returns,)
    assert again.status == 202, "an answer that got lost is given again"


async def test_same_key_and_title_return_the_same_remediation(scenario: Scenario) -> None:
    environment = scenario.build.environment.id
    body = {"mode": "dry_run", "environment_ids": [environment], "flow_ids": ["Returns"]}
    headers = {"Idempotency-Key": "monday"}
    scenario.build.add_http_flow("Stock")

    first = await call(remediations_api.start_remediation, body, headers=headers)
    again = await call(remediations_api.start_remediation, body, headers=headers)
    other = await call(
        remediations_api.start_remediation, body | {"flow_ids": ["Stock"]}, headers=headers
    )

    assert (first.status, again.status, other.status) == (202, 202, 409)
    assert first.document["id"] == again.document["id"]


def find_ids(scenario: Scenario, title: str) -> list[str]:
    flows = scenario.build.environment.flows.values()
    return [flow.workflow_id for flow in flows if flow.name == title]


async def test_title_in_the_same_case_has_precedence(scenario: Scenario) -> None:
    scenario.build.add_http_flow("RETURNS")

    exact = await send_request(scenario, "exclude", "RETURNS")
    neither = await send_request(scenario, "exclude", "returns")

    assert exact.document["settings"]["excluded_flows"] == find_ids(scenario, "RETURNS")
    assert neither.status == 404
    candidates = {one["id"] for one in neither.document["suggestions"]}
    assert candidates == {*find_ids(scenario, "RETURNS"), *find_ids(scenario, "Returns")}


async def test_title_shared_with_a_flow_without_a_row_is_rejected_with_both_ids(
    scenario: Scenario,
) -> None:
    """The app must not guess which of the two flows a person wants to exclude."""
    scenario.world.assumptions.my_flows_have_rows = False
    scenario.build.add_mail_flow("Returns")

    title = await send_request(scenario, "exclude", "Returns")
    identity = await send_request(scenario, "exclude", find_ids(scenario, "Returns")[0])

    assert (title.status, identity.status) == (404, 200)
    assert len(title.document["suggestions"]) == 2


async def test_flow_named_by_title_and_id_is_included_once(scenario: Scenario) -> None:
    (returns,) = find_ids(scenario, "Returns")
    body = {"mode": "dry_run", "environment_ids": [scenario.build.environment.id]}
    headers = {"Idempotency-Key": "tuesday"}

    replies = [
        await call(remediations_api.start_remediation, body | {"flow_ids": flows}, headers=headers)
        for flows in (["Returns", returns], [returns.upper()], ["returns", "Returns"])
    ]

    assert [one.status for one in replies] == [202, 202, 202]
    assert all(one.document["flow_ids"] == [returns] for one in replies)


async def test_deleted_flow_stays_excluded(scenario: Scenario) -> None:
    (returns,) = find_ids(scenario, "Returns")
    await send_request(scenario, "exclude", returns)
    del scenario.build.environment.flows[returns]

    again = await send_request(scenario, "exclude", returns.upper())

    assert again.document["settings"]["excluded_flows"] == [returns]


async def test_pages_show_ids_of_flows_with_the_same_title(scenario: Scenario) -> None:
    flows = scenario.build.environment.flows.values()
    short = {flow.workflow_id[:8] for flow in flows if flow.name == "Orders"}
    identity = scenario.remediation.id

    plan = await call(plan_page_api.show_plan_page, id=identity)
    page = await call(dashboard_api.show_remediation_page, id=identity, query={"state": "awaiting"})

    assert len(short) == 2
    for reply in (plan, page):
        assert set(re.findall(r">Id (\w{8})</span>", reply.text)) == short

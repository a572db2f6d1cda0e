"""Test the state before and after in audit entries."""

import json
from datetime import timedelta
from typing import Any

import pytest

from functions import (
    assessments_api,
    audit_api,
    firewall_fixes_api,
    keys_api,
    remediations_api,
    service_tag_lists_api,
)
from functions import run_archives_api as archives_api
from functions.endpoints import Endpoint, list_endpoints
from shared.bootstrap import provide
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.case import HOST
from tests.kinds.firewalls.network_security_group import build_security_group

ENDPOINTS = list_endpoints()

ANNA = build_sign_in_header("anna@contoso.example")
WEST = "PowerPlatformPlex.WestEurope"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(has_azure_firewalls=True)
    scenario.world.service_tags = {WEST: ["20.61.88.128/26"]}
    group = build_security_group()
    scenario.world.resources[group["id"].lower()] = group
    scenario.build.add_http_flow("Orders", {"Call": define.build_http_action(f"https://{HOST}/")})
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def read_last_change(scenario: Scenario) -> tuple[dict[str, Any], dict[str, Any]]:
    scenario.world.clock.advance(timedelta(seconds=1))
    (entry,) = (await call(audit_api.list_audit, query={"limit": "1"})).document["items"]
    assert entry["status"] in (200, 202), entry["message"]
    before, after = (json.loads(entry[when] or "{}") for when in ("state_before", "state_after"))
    return before, after


@pytest.mark.parametrize(
    "declared",
    [one for one in ENDPOINTS.values() if one.is_recorded],
    ids=lambda one: f"{one.method} {one.path}",
)
def test_each_changing_route_declares_the_subject_of_its_entry(declared: Endpoint) -> None:
    assert declared.subject is not None


async def test_entry_of_a_firewall_fix_has_its_rule_entries_and_environment(
    scenario: Scenario,
) -> None:
    order = {"resource": "edge"}

    await call(firewall_fixes_api.apply_firewall_fix, order, headers=ANNA)
    before, after = await read_last_change(scenario)
    await call(firewall_fixes_api.revert_firewall_fix, order, headers=ANNA)
    open_again, closed = await read_last_change(scenario)

    assert before == {}
    ((where, opened),) = after.items()
    assert "networksecuritygroups/edge" in where.lower()
    assert (opened["state"], opened["environment_ids"]) == (
        "applied",
        [scenario.build.environment.id],
    )
    assert WEST in "".join(opened["entries"])
    assert open_again == after
    assert closed[where]["state"] == "reverted"


async def test_entry_of_an_assessment_has_its_id_and_environment(scenario: Scenario) -> None:
    there = scenario.build.environment.id
    await call(assessments_api.start_assessment, {}, id=there, headers=ANNA)

    before, after = await read_last_change(scenario)

    assert before == {}
    assert after["environment_ids"] == [there]
    found = await call(assessments_api.show_assessment_by_id, id=after["assessment"])
    assert found.document["state"] == "assessing"


async def test_entry_of_a_key_check_has_the_findings(scenario: Scenario) -> None:
    gone, scenario.world.keys = scenario.world.keys, {}
    await call(keys_api.check_keys, {}, headers=ANNA)
    before, after = await read_last_change(scenario)
    scenario.world.keys = gone
    await call(keys_api.check_keys, {}, headers=ANNA)
    told, well = await read_last_change(scenario)

    assert before == {}
    (found,) = after.values()
    assert "problem" in found.values()
    assert told == after
    assert well == {}


async def test_entry_of_an_archive_of_runs_has_original_and_state(scenario: Scenario) -> None:
    await scenario.order()
    await scenario.approve()
    provide(scenario.services)

    await call(archives_api.archive_runs, id=scenario.remediation.id, headers=ANNA)

    before, after = await read_last_change(scenario)
    assert before == {}
    (archive,) = after.values()
    assert (archive["of"], archive["state"]) == ("Orders", "completed")


async def test_entry_of_a_check_of_address_ranges_has_the_list_version(scenario: Scenario) -> None:
    await scenario.driver.call(lambda services: run_daily_check(services, "before"))
    scenario.world.service_tags |= {WEST: ["20.61.88.128/26", "20.99.0.0/24"]}
    scenario.world.service_tags_edition += 1
    scenario.world.clock.advance(timedelta(days=1))
    number = scenario.world.service_tags_edition
    provide(scenario.services)

    await call(service_tag_lists_api.refresh_service_tag_list, headers=ANNA)

    before, after = await read_last_change(scenario)
    assert str(number) not in before
    assert after[str(number)]["reason_code"] == "address_ranges_changed"


async def test_entry_of_a_started_remediation_has_the_remediation(scenario: Scenario) -> None:
    environment = scenario.build.environment.id
    order = {"mode": "dry_run", "environment_ids": [environment]}
    headers = ANNA | {"Idempotency-Key": "change-4711"}

    made = await call(remediations_api.start_remediation, order, headers=headers)
    first = await read_last_change(scenario)
    await call(remediations_api.start_remediation, order, headers=headers)

    before, after = first
    assert before == {}
    assert after["remediation"] == made.document["id"]
    assert (after["mode"], after["environment_ids"]) == ("dry_run", [environment])
    assert await read_last_change(scenario) == first


async def test_command_shows_the_state_before_if_the_state_after_is_empty(
    scenario: Scenario,
) -> None:
    gone, scenario.world.keys = scenario.world.keys, {}
    await call(keys_api.check_keys, {}, headers=ANNA)
    scenario.world.keys = gone
    await call(keys_api.check_keys, {}, headers=ANNA)
    async with serve_app() as command_line:
        shown = await command_line.run("audit", "list", "--limit", "1")

    assert shown.exit_code == 0, shown.output
    assert "problem" in shown.stdout

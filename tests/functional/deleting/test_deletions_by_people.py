import json
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

from functions import deletions_api, remediations_api, timers
from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
    build_retired_scenario,
    find_original,
    list_deleted_flows,
)
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario


class _Tick(func.TimerRequest):
    @property
    def past_due(self) -> bool:
        return True


@pytest.fixture
async def scenario() -> Scenario:
    scenario = await build_retired_scenario(
        lambda s: (s.build.add_http_flow("Orders"), s.build.add_http_flow("Bills"))
    )
    provide(scenario.services)
    return scenario


def format_day(scenario: Scenario, days: int = 2) -> str:
    return f"{scenario.world.clock.now() + days * DAY:%Y-%m-%d}"


async def let_days_pass(scenario: Scenario, days: int = 2) -> None:
    """Let days pass and run the timer."""
    await scenario.run(days * DAY + MINUTE)
    for _ in range(3):
        provide(scenario.services)
        await timers.delete_originals(_Tick())
        await scenario.run(5 * MINUTE)
    provide(scenario.services)


async def read_deletions_over_http(scenario: Scenario) -> Any:
    return (await call(deletions_api.list_deletions, id=scenario.remediation.id)).document


async def test_deletion_requested_over_http_is_made_by_the_timer(scenario: Scenario) -> None:
    """The approver is the signed-in person, whatever name the body contains."""
    flow = find_original(scenario, "Orders")
    body = {
        "delete_at": format_day(scenario),
        "flow_ids": [flow.workflow_id],
        "approved_by": "somebody",
    }
    headers = build_sign_in_header("admin@contoso.example")

    reply = await call(
        deletions_api.schedule_deletions, body, id=scenario.remediation.id, headers=headers
    )
    await let_days_pass(scenario)
    answer = await read_deletions_over_http(scenario)
    detail = (await call(remediations_api.show_remediation, id=scenario.remediation.id)).document

    (ordered,) = reply.document["items"]
    assert (reply.status, ordered["approved_by"]) == (202, "admin@contoso.example")
    assert ordered["delete_at"] == f"{body['delete_at']}T00:00:00Z"
    assert [one["state"] for one in answer["items"]] == ["deleted"]
    assert [one["display_name"] for one in answer["deletable_originals"]] == ["Bills"]
    assert answer["run_archives"][0]["state"] == "completed"
    assert answer["support_windows"][0]["closes_at"]
    assert [one["state"] for one in detail["deletions"]] == ["deleted"]
    assert all(job["archive_name"] for job in detail["flow_jobs"])
    assert detail["support_windows"] == answer["support_windows"]
    assert list_deleted_flows(scenario) == [flow.workflow_id]


async def test_date_requires_a_time_zone(scenario: Scenario) -> None:
    moment = (scenario.world.clock.now() + 2 * DAY).replace(microsecond=0, tzinfo=None)
    body = {"delete_at": f"{moment.isoformat()}+02:00", "approved_by": "tests"}

    reply = await call(deletions_api.schedule_deletions, body, id=scenario.remediation.id)
    answers = [
        await call(
            deletions_api.schedule_deletions,
            {"delete_at": on, "approved_by": "tests"},
            id=scenario.remediation.id,
        )
        for on in (moment.isoformat(), "tomorrow", "", None, 5, "9999-12-31T23:59:00-12:00")
    ]

    expected = (moment - timedelta(hours=2)).isoformat()
    assert {one["delete_at"] for one in reply.document["items"]} == {f"{expected}Z"}
    assert [one.status for one in answers] == [400] * 6


async def test_request_without_name_or_with_too_early_date_is_rejected(scenario: Scenario) -> None:
    nobody = await call(
        deletions_api.schedule_deletions,
        {"delete_at": format_day(scenario)},
        id=scenario.remediation.id,
    )
    early = await call(
        deletions_api.schedule_deletions,
        {"delete_at": format_day(scenario, -1), "approved_by": "tests"},
        id=scenario.remediation.id,
    )
    strange = await call(
        deletions_api.schedule_deletions,
        {"delete_at": format_day(scenario), "approved_by": "tests", "flow_ids": ["nobody"]},
        id=scenario.remediation.id,
    )

    assert (nobody.status, early.status, strange.status) == (400, 409, 404)
    assert early.document["reason_code"] == "deletion_date_too_early"


async def test_deletions_are_cancelled_over_http(scenario: Scenario) -> None:
    identity = scenario.remediation.id
    order = {"delete_at": format_day(scenario), "approved_by": "tests"}
    await call(deletions_api.schedule_deletions, order, id=identity)
    flow = find_original(scenario, "Orders").workflow_id

    one = await call(
        deletions_api.cancel_deletions, {"flow_ids": [flow], "cancelled_by": "tests"}, id=identity
    )
    rest = await call(deletions_api.cancel_deletions, {"cancelled_by": "tests"}, id=identity)
    await let_days_pass(scenario)

    assert (one.document, rest.document) == ({"cancelled_count": 1}, {"cancelled_count": 1})
    assert list_deleted_flows(scenario) == []


async def test_command_lists_originals_and_asks(scenario: Scenario, cli: CommandLine) -> None:
    order = ("deletion", "schedule", scenario.remediation.id, "--date", format_day(scenario))

    refused = await cli.run(*order, answer="n\n")
    none = (await read_deletions_over_http(scenario))["items"]
    agreed = await cli.run(*order, answer="y\n")
    await let_days_pass(scenario)
    listed = await cli.run("deletion", "list", scenario.remediation.id)
    remediation = await cli.run("remediation", "show", scenario.remediation.id)

    assert (refused.exit_code, none) == (1, [])
    assert "Orders" in refused.stderr
    assert "trigger URL" in refused.stderr
    assert agreed.exit_code == 0, agreed.output
    assert "admin@contoso.example" in agreed.stdout
    assert len(list_deleted_flows(scenario)) == 2
    assert "deleted" in listed.stdout
    assert "support can restore run history from before the key until" in listed.stdout
    assert "run summaries of 2 originals" in remediation.stdout


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("2020-01-31", "Orders: not before "),
        ("soon", "neither a date such as 2030-01-31 nor a time with a time zone"),
        ("2030-01-31T10:00", "neither a date such as 2030-01-31 nor a time with a time zone"),
    ],
)
async def test_impossible_date_is_rejected_before_the_question(
    scenario: Scenario, cli: CommandLine, date: str, said: str
) -> None:
    order = ("deletion", "schedule", scenario.remediation.id, "--date", date)

    result = await cli.run(*order, answer="y\n")

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Delete " not in result.stderr
    assert (await read_deletions_over_http(scenario))["items"] == []


async def test_commands_cancel_list_and_reject_deletions(
    scenario: Scenario, cli: CommandLine
) -> None:
    identity, flow = scenario.remediation.id, find_original(scenario, "Orders").workflow_id
    order = ("deletion", "schedule", identity, "--date", format_day(scenario), "--yes", "--flow")

    standing = await cli.run("deletion", "list", identity)
    await cli.run(*order, flow)
    strange = await cli.run(*order, "nobody")
    kept = await cli.run("deletion", "cancel", identity, "--flow", flow, "-o", "json")
    remediation = await cli.run("remediation", "show", identity)

    assert "not before" in standing.stdout
    assert "warning in the admin center" in standing.stdout
    assert strange.exit_code == 3
    assert "No flow of that remediation matches 'nobody'." in strange.stderr
    assert json.loads(kept.stdout) == {"cancelled_count": 1}
    assert "Deletions of originals: 1 cancelled" in remediation.stdout
    assert "Archived: 2 definitions" in remediation.stdout


async def test_new_schedule_replaces_the_date(scenario: Scenario, cli: CommandLine) -> None:
    identity, flow = scenario.remediation.id, find_original(scenario, "Orders").workflow_id
    order = ("deletion", "schedule", identity, "--date")
    first = format_day(scenario)
    await cli.run(*order, first, "--flow", flow, "--yes")

    named = await cli.run(*order, format_day(scenario, 3), "--flow", flow, answer="y\n")
    every = await cli.run(*order, format_day(scenario, 4), "--yes", "-o", "json")
    listed = await cli.run("deletion", "list", identity)
    await let_days_pass(scenario, 5)
    rest = await cli.run(*order, format_day(scenario), "--yes")

    assert f"Replaces the deletion on {first} 00:00 UTC" in named.stderr
    assert "trigger URL" in named.stderr
    dates = {one["display_name"]: one["delete_at"] for one in json.loads(every.stdout)["items"]}
    assert set(dates) == {"Orders", "Bills"}
    assert len(set(dates.values())) == 1
    assert flow in listed.stdout  # the value that --flow accepts
    assert len(list_deleted_flows(scenario)) == 2
    assert (rest.exit_code, "no retired original that can be deleted" in rest.stderr) == (1, True)

import json
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import audit_api, dashboard_api, solution_setting_api
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.principal import Role
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

PAGE = "/api/dashboard/environments"
OPERATOR = build_sign_in_header("olga@contoso.example", [Role.OPERATOR])
APPROVER = build_sign_in_header("ada@contoso.example", [Role.OPERATOR, Role.APPROVER])
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}


async def build_scenario(mode: ApprovalPolicy = ApprovalPolicy.REQUIRED) -> Scenario:
    scenario = Scenario(mode=mode)
    scenario.build.environment.creates_flows_in_solutions = False
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def send_request(scenario: Scenario, handler: Any, headers: dict[str, str]) -> Reply:
    return await call(handler, id=scenario.build.environment.id, headers=headers)


async def test_setting_is_changed_and_reverted_over_http() -> None:
    scenario = await build_scenario()

    on = await send_request(scenario, solution_setting_api.turn_on_solution_setting, APPROVER)
    shown = await send_request(scenario, solution_setting_api.show_solution_setting, OPERATOR)
    off = await send_request(scenario, solution_setting_api.revert_solution_setting, OPERATOR)

    assert shown.document == on.document
    assert (on.document["is_on"], on.document["change"]["former_value"]) == (True, False)
    assert on.document["change"]["changed_by"] == "ada@contoso.example"
    assert (off.document["is_on"], off.document["change"]["state"]) == (False, "reverted")
    entries = (await call(audit_api.list_audit)).document["items"]
    states = {
        one["operation"]: (
            json.loads(one["state_before"] or "{}"),
            json.loads(one["state_after"]),
        )
        for one in entries
    }
    assert states["turn_on_solution_setting"] == ({}, {"solution_setting": "applied"})
    assert states["revert_solution_setting"] == (
        {"solution_setting": "applied"},
        {"solution_setting": "reverted"},
    )


@pytest.mark.parametrize(
    ("mode", "status"), [(ApprovalPolicy.AUTOMATIC, 200), (ApprovalPolicy.REQUIRED, 403)]
)
async def test_operator_needs_an_approver_where_changes_need_approval(
    mode: ApprovalPolicy, status: int
) -> None:
    scenario = await build_scenario(mode)

    reply = await send_request(scenario, solution_setting_api.turn_on_solution_setting, OPERATOR)

    assert reply.status == status
    assert scenario.build.environment.creates_flows_in_solutions is (status == 200)


async def show_page(headers: dict[str, str], query: dict[str, str] | None = None) -> str:
    reply = await call(dashboard_api.show_environments_page, headers=headers | BROWSER, query=query)
    return unescape(reply.text)


async def test_page_offers_the_change_and_its_revert() -> None:
    scenario = await build_scenario()
    before = await show_page(APPROVER)

    done = await call(
        solution_setting_api.turn_on_solution_setting,
        urlencode({}).encode(),
        id=scenario.build.environment.id,
        headers=APPROVER
        | BROWSER
        | {"Content-Type": FORM, "Referer": f"https://app.example{PAGE}"},
    )
    query = dict(parse_qsl(done.headers["Location"].partition("?")[2]))
    after = await show_page(APPROVER, query)

    assert "Create new flows in a solution" in before
    assert "Restore the former setting" not in before
    assert done.status == 303
    assert "New flows are created in a solution." in after
    assert "turned on by ada@contoso.example" in after
    assert "Restore the former setting" in after


async def test_page_says_why_the_change_is_not_offered() -> None:
    scenario = await build_scenario()
    to_operator = await show_page(OPERATOR)
    await set_kill_switch(scenario.services, is_on=True, by="eve", reason="audit")
    stopped = await show_page(APPROVER)

    assert "need an approver." in to_operator
    assert f"environments/{scenario.build.environment.id}/solution-setting" not in to_operator
    assert f"environments/{scenario.build.environment.id}/solution-setting" not in stopped


async def test_command_shows_turns_on_and_reverts() -> None:
    scenario = await build_scenario()
    command = ("environment", "solution-setting", scenario.build.environment.id)
    async with serve_app() as cli:
        shown = await cli.run(*command)
        rejected = await cli.run(*command, "--turn-on", answer="n\n")
        both = await cli.run(*command, "--turn-on", "--revert")
        untouched = scenario.build.environment.creates_flows_in_solutions
        on = await cli.run(*command, "--turn-on", "--yes", "-o", "json")
        reverted = await cli.run(*command, "--revert", "--yes")

    assert "not created in a solution" in shown.stdout
    assert rejected.exit_code == 1
    assert "not both" in both.stderr
    assert untouched is False
    assert json.loads(on.stdout)["change"]["state"] == "applied"
    assert "reverted" in reverted.stdout
    assert "admin@contoso.example" in reverted.stdout
    assert scenario.build.environment.creates_flows_in_solutions is False

"""Test ETags as preconditions, and requests with invalid bodies."""

from datetime import timedelta

import pytest

from functions import (
    assessments_api,
    environments_api,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from functions.http_headers import ETAG, IF_MATCH
from functions.http_requests import MAX_BODY_BYTES
from shared.bootstrap import provide
from shared.steps.write_permission import KILL_SWITCH
from tests.functional.scenarios.app_calls import Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario

STALE = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def set_limit(scenario: Scenario, limit: int, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    environment = scenario.build.environment.id
    return await call(
        environments_api.update_environment_settings,
        {"max_flows": limit},
        id=environment,
        headers=sent,
    )


async def show_environment(scenario: Scenario, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    environment = scenario.build.environment.id
    return await call(environments_api.show_environment, id=environment, headers=sent)


async def test_change_with_the_current_etag_returns_the_next_etag(
    scenario: Scenario,
) -> None:
    seen = (await show_environment(scenario)).headers[ETAG]

    first = await set_limit(scenario, 7, If_Match=seen)
    second = await set_limit(scenario, 8, If_Match=first.headers[ETAG])

    assert (first.status, second.status) == (200, 200)
    assert second.headers[ETAG] == (await show_environment(scenario)).headers[ETAG] != seen


async def test_change_with_an_outdated_etag_is_rejected(scenario: Scenario) -> None:
    seen = (await show_environment(scenario)).headers[ETAG]
    await set_limit(scenario, 7)

    refused = await set_limit(scenario, 8, If_Match=f'"other", {seen}')

    assert refused.status == 412
    assert refused.document["type"].endswith("precondition-failed")
    assert "Read the item again" in refused.document["fix"]
    assert (await show_environment(scenario)).document["settings"]["max_flows"] == 7
    assert (await set_limit(scenario, 9, If_Match="*")).status == 200


async def test_etag_is_compared_at_the_moment_of_the_write(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = (await show_environment(scenario)).headers[ETAG]
    table = type(scenario.services.tables.environment_settings)
    change = table.change

    async def change_settings_first(self: object, *args: object, **options: object) -> object:
        monkeypatch.setattr(table, "change", change)
        await set_limit(scenario, 7)
        return await change(self, *args, **options)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(table, "change", change_settings_first)

    assert (await set_limit(scenario, 8, If_Match=seen)).status == 412


async def test_unchanged_resource_is_answered_304(scenario: Scenario) -> None:
    seen = (await show_environment(scenario)).headers[ETAG]

    same = await show_environment(scenario, If_None_Match=seen)
    packed = await show_environment(scenario, If_None_Match=f'"other", W/{seen}')
    await set_limit(scenario, 7)
    other = await show_environment(scenario, If_None_Match=seen)

    assert (same.status, same.text, same.headers[ETAG]) == (304, "", seen)
    assert packed.status == 304
    assert other.status == 200


async def test_change_with_a_weak_etag_is_rejected(scenario: Scenario) -> None:
    """If-Match compares ETags strongly, so a weak one never matches (RFC 9110, 13.1.1)."""
    seen = (await show_environment(scenario)).headers[ETAG]

    assert (await set_limit(scenario, 7, If_Match=f"W/{seen}")).status == 412
    assert (await set_limit(scenario, 7, If_Match=f'"other", {seen}')).status == 200


async def test_kill_switch_change_requires_the_current_etag(scenario: Scenario) -> None:
    order = {"is_on": True, "changed_by": "admin", "justification": "a look"}
    untouched = await call(kill_switch_api.show_kill_switch)

    stale = await call(kill_switch_api.set_kill_switch, order, headers={IF_MATCH: STALE})
    flag = await scenario.services.tables.kill_switch.get("kill_switch", KILL_SWITCH)
    first = await call(
        kill_switch_api.set_kill_switch, order, headers={IF_MATCH: untouched.headers[ETAG]}
    )
    again = await call(
        kill_switch_api.set_kill_switch, order, headers={IF_MATCH: untouched.headers[ETAG]}
    )
    anyhow = await call(kill_switch_api.set_kill_switch, order | {"is_on": False})

    assert flag is None
    assert [one.status for one in (stale, first, again, anyhow)] == [412, 200, 412, 200]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/jsonp"])
async def test_body_of_another_content_type_is_rejected(scenario: Scenario, kind: str) -> None:
    headers = {"Content-Type": kind}

    refused = await call(remediations_api.start_remediation, {"mode": "assess"}, headers=headers)

    assert refused.status == 415
    assert "application/json" in refused.document["fix"]


async def test_too_large_body_is_answered_413(scenario: Scenario) -> None:
    body = b'{"mode": "' + b"x" * MAX_BODY_BYTES + b'"}'

    assert (await call(remediations_api.start_remediation, body)).status == 413


async def test_whole_number_with_decimal_point_is_accepted(scenario: Scenario) -> None:
    """JSON has only one type of number."""
    environment = scenario.build.environment.id

    changed = await call(
        environments_api.update_environment_settings, b'{"max_flows": 5.0}', id=environment
    )

    assert changed.document["settings"]["max_flows"] == 5


async def test_number_is_not_accepted_as_a_time(scenario: Scenario) -> None:
    """By default, pydantic reads a number as a Unix time."""
    refused = await call(
        assessments_api.show_assessment,
        id=scenario.build.environment.id,
        query={"callers_searched_since": "1700000000"},
    )

    assert refused.status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"max_flows": "5"},
        {"max_flows": True},
        {"max_flows": None},
        {"approval_policy": 1},
        {"max_flows": 1.5},
    ],
)
async def test_members_of_another_type_are_rejected(scenario: Scenario, body: object) -> None:
    environment = scenario.build.environment.id

    assert (
        await call(environments_api.update_environment_settings, body, id=environment)
    ).status == 400


async def test_approval_requires_the_etag_of_the_plan(scenario: Scenario) -> None:
    scenario.build.add_http_flow("Orders")
    await scenario.order()
    provide(scenario.services)
    identity = scenario.remediation.id
    plan = await call(remediations_api.show_plan, id=identity)
    await scenario.run(timedelta(hours=12))
    provide(scenario.services)
    [show_environment] = plan.document["items"]
    order: dict[str, object] = {"versions": [show_environment["version"]], "approved_by": "Ada"}

    async def approve(tag: str, order: dict[str, object]) -> tuple[int, str]:
        headers = {IF_MATCH: tag}
        reply = await call(
            remediation_actions_api.approve_remediation, order, id=identity, headers=headers
        )
        return reply.status, reply.document.get("reason_code") or ""

    assert await approve(STALE, order) == (412, "")
    assert await approve("*", order | {"versions": ["0" * 16]}) == (409, "plan_changed")
    assert await approve(plan.headers[ETAG], order) == (202, "")
    assert await approve(plan.headers[ETAG], order) == (412, "")  # it does not wait any more

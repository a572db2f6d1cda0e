import json
from datetime import timedelta

import pytest

from functions import (
    audit_api,
    environments_api,
    health_api,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from functions.principals import PRINCIPAL
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.errors import ServiceUnavailable
from shared.steps.write_permission import read_environment_settings
from tests.fakes.crash import Killed
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA = build_sign_in_header("anna@contoso.example")
CANARY = "sig=a-canary-signature-that-is-long-enough-to-be-one"
URL = f"https://prod-1.westeurope.logic.azure.com/workflows/0/triggers/manual/run?{CANARY}"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    return scenario


async def list_entries(**query: str) -> list[dict[str, object]]:
    reply = await call(audit_api.list_audit, query=query)
    assert reply.status == 200, reply.text
    items: list[dict[str, object]] = reply.document["items"]
    return items


async def change_settings(scenario: Scenario, body: object, **headers: str) -> Reply:
    return await call(
        environments_api.update_environment_settings,
        body,
        id=scenario.build.environment.id,
        headers=ANNA | headers,
        path=f"environments/{scenario.build.environment.id}",
    )


async def test_entry_of_a_change_has_person_request_and_state(scenario: Scenario) -> None:
    source = {"X-Forwarded-For": "forged, 203.0.113.9:4711", "User-Agent": "cmkflow/1"}

    await change_settings(scenario, {"approval_policy": "required", "max_flows": 7}, **source)

    (entry,) = await list_entries()
    assert entry["who"] == "anna@contoso.example"
    assert (entry["who_id"], entry["kind"]) == ("id-anna@contoso.example", "user")
    assert entry["recorded_at"] == scenario.services.now.isoformat().replace("+00:00", "Z")
    assert entry["client"] == "203.0.113.9:4711 cmkflow/1"
    assert entry["operation"] == "update_environment_settings"
    assert entry["target"] == f"/api/environments/{scenario.build.environment.id}"
    assert json.loads(str(entry["request_body"])) == {"approval_policy": "required", "max_flows": 7}
    assert json.loads(str(entry["state_before"])) == {
        "approval_policy": "read_only",
        "max_flows": 100,
    }
    assert json.loads(str(entry["state_after"])) == {"approval_policy": "required", "max_flows": 7}
    assert (entry["status"], entry["message"]) == (200, "")


async def test_entry_has_the_change_if_the_id_is_in_capitals(scenario: Scenario) -> None:
    done = await call(
        environments_api.update_environment_settings,
        {"approval_policy": "required"},
        id=scenario.build.environment.id.upper(),
        headers=ANNA,
    )

    (entry,) = await list_entries()
    assert done.status == 200
    assert json.loads(str(entry["state_before"])) == {"approval_policy": "read_only"}
    assert json.loads(str(entry["state_after"])) == {"approval_policy": "required"}


async def test_entry_of_a_rejected_request_has_status_and_reason(scenario: Scenario) -> None:
    order = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}

    await call(remediations_api.start_remediation, order, headers=ANNA)

    (entry,) = await list_entries()
    assert (entry["operation"], entry["status"]) == ("start_remediation", 409)
    assert "approval policy read_only" in str(entry["message"])
    assert (entry["state_before"], entry["state_after"]) == ("", "")


async def test_entry_of_an_approval_has_state_and_plan_version(scenario: Scenario) -> None:
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    environment = scenario.build.environment.id
    order = {"mode": "apply", "environment_ids": [environment]}
    identity = (await call(remediations_api.start_remediation, order, headers=ANNA)).document["id"]
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    (plan,) = (await call(remediations_api.show_plan, id=identity)).document["items"]
    bert = build_sign_in_header("bert@contoso.example")
    body = {"versions": [plan["version"]]}

    await call(remediation_actions_api.approve_remediation, body, id=identity, headers=bert)

    entry, _ = await list_entries()
    assert entry["who"] == "bert@contoso.example"
    before, after = json.loads(str(entry["state_before"])), json.loads(str(entry["state_after"]))
    assert before[environment] == "awaiting_approval"
    assert (after[environment], after[f"{environment} approved"]) == ("approved", plan["version"])


async def test_request_without_the_role_is_recorded_once_per_route_and_hour(
    scenario: Scenario,
) -> None:
    eve = build_sign_in_header("eve@contoso.example", [Role.READER])
    change = {"is_on": True, "justification": "odd"}
    for _ in range(3):
        await call(kill_switch_api.set_kill_switch, change, headers=eve, path="kill-switch")
        scenario.world.clock.advance(timedelta(minutes=1))
    await call(remediations_api.start_remediation, {}, headers=eve)
    scenario.world.clock.advance(timedelta(hours=1))
    await call(kill_switch_api.set_kill_switch, change, headers=eve)
    await call(health_api.show_health, headers=build_sign_in_header("nobody@contoso.example", []))

    entries = await list_entries()
    assert sorted((str(one["who"]), one["operation"], one["status"]) for one in entries) == [
        ("eve@contoso.example", "set_kill_switch", 403),
        ("eve@contoso.example", "set_kill_switch", 403),
        ("eve@contoso.example", "start_remediation", 403),
        ("nobody@contoso.example", "show_health", 403),
    ]
    first = min(entries, key=lambda one: str(one["recorded_at"]))
    assert first["recorded_at"] == "2026-03-02T09:00:00Z"
    assert first["target"] == "/api/kill-switch"
    assert "does not have the role operator" in str(first["message"])
    assert (first["request_body"], first["state_before"], first["state_after"]) == ("", "", "")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a page of this app"),
    ],
)
async def test_request_of_a_page_of_another_site_is_recorded(
    scenario: Scenario, headers: dict[str, str], reason: str
) -> None:
    """A page of another site may act with the session of a signed-in person."""
    change = {"is_on": True, "justification": "odd"}

    reply = await call(kill_switch_api.set_kill_switch, change, headers=ANNA | headers)

    assert reply.status == 403
    (entry,) = await list_entries()
    assert reason in str(entry["message"])


@pytest.mark.parametrize("headers", [{}, {PRINCIPAL: "no base64"}])
async def test_request_without_sign_in_is_not_recorded(headers: dict[str, str]) -> None:
    """If such requests were recorded, anybody could fill the store."""
    scenario = Scenario(settings=build_fake_settings(function_key_roles=()))
    provide(scenario.services)

    reply = await call(kill_switch_api.set_kill_switch, {"is_on": True}, headers=headers)

    assert reply.status == 401
    assert not [name for name in scenario.fakes.store.rows if name[0] == "auditlog"]


async def test_request_with_a_key_without_the_role_is_not_recorded() -> None:
    """A function key does not identify the person who sent the request."""
    scenario = Scenario(settings=build_fake_settings(function_key_roles=(Role.READER,)))
    provide(scenario.services)

    reply = await call(kill_switch_api.set_kill_switch, {"is_on": True})

    assert reply.status == 403
    assert not [name for name in scenario.fakes.store.rows if name[0] == "auditlog"]


async def test_rejection_is_answered_403_if_its_entry_cannot_be_written(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def reject(_: object) -> None:
        raise ServiceUnavailable("the store is out")

    services = scenario.services
    monkeypatch.setattr(services.tables.audit_log, "insert", reject)
    provide(services)

    reply = await call(kill_switch_api.set_kill_switch, {}, headers=build_sign_in_header("eve", []))

    assert reply.status == 403
    assert "audit entry not written" in caplog.text


async def test_read_requests_are_not_recorded(scenario: Scenario) -> None:
    await call(health_api.show_health)
    await call(environments_api.list_environments)

    assert await list_entries() == []


async def test_request_is_not_carried_out_if_its_entry_cannot_be_written(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reject(_: object) -> None:
        raise ServiceUnavailable("the store is out")

    services = scenario.services
    monkeypatch.setattr(services.tables.audit_log, "insert", reject)
    provide(services)

    reply = await change_settings(scenario, {"approval_policy": "automatic"})

    assert reply.status == 503
    assert (
        await read_environment_settings(scenario.services, scenario.build.environment.id)
    ).approval_policy == "read_only"


async def test_change_remains_if_its_result_cannot_be_recorded(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    services = scenario.services
    provide(services)
    insert, calls = services.tables.audit_log.insert, 0

    async def insert_once(entry: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise ServiceUnavailable("the store is out")
        return await insert(entry)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(services.tables.audit_log, "insert", insert_once)

    reply = await change_settings(scenario, {"approval_policy": "required"})

    assert reply.status == 200
    (entry,) = await list_entries()
    assert entry["status"] is None
    assert "audit result not written" in caplog.text


async def test_entry_of_an_interrupted_request_has_no_status(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(kill_switch_api, "set_switch", die)
    with pytest.raises(Killed):
        await call(
            kill_switch_api.set_kill_switch, {"is_on": True, "justification": "odd"}, headers=ANNA
        )

    (entry,) = await list_entries()
    assert (entry["operation"], entry["status"]) == ("set_kill_switch", None)
    assert json.loads(str(entry["request_body"])) == {"is_on": True, "justification": "odd"}


async def test_entry_of_an_internal_error_has_status_500(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def raise_internal_error(*_: object, **__: object) -> None:
        raise LookupError("nothing here")

    monkeypatch.setattr(kill_switch_api, "set_switch", raise_internal_error)
    await call(
        kill_switch_api.set_kill_switch, {"is_on": True, "justification": "odd"}, headers=ANNA
    )

    (entry,) = await list_entries()
    assert (entry["status"], entry["message"]) == (500, "internal error")


async def test_pages_list_each_request_once_newest_first(scenario: Scenario) -> None:
    for number in range(1, 8):
        await change_settings(scenario, {"max_flows": number})
        scenario.world.clock.advance(timedelta(seconds=1))
    outcomes = [
        row
        for name, row in scenario.fakes.store.rows.items()
        if name[0] == "auditlog" and "-0" in name[2][-2:]
    ]
    assert len(outcomes) == 7

    limits, after = [], ""
    while True:
        reply = await call(audit_api.list_audit, query={"limit": "3", "after": after})
        limits += [json.loads(one["request_body"])["max_flows"] for one in reply.document["items"]]
        await change_settings(scenario, {"max_flows": 99})
        after = reply.document["next"]
        if not after:
            break

    assert limits == [7, 6, 5, 4, 3, 2, 1]


async def test_simultaneous_requests_have_separate_rows(scenario: Scenario) -> None:
    await change_settings(scenario, {"max_flows": 5})
    first = {
        name: row.etag for name, row in scenario.fakes.store.rows.items() if name[0] == "auditlog"
    }
    await change_settings(scenario, {"max_flows": 5})

    rows = {
        name: row.etag for name, row in scenario.fakes.store.rows.items() if name[0] == "auditlog"
    }
    assert len(rows) == 2 * len(first) == 4
    assert first.items() <= rows.items()


async def test_entry_contains_no_signature(scenario: Scenario) -> None:
    order = {"is_on": True, "justification": f"see {URL}"}
    headers = ANNA | {"User-Agent": URL, "X-Forwarded-For": URL}
    await call(
        kill_switch_api.set_kill_switch, order, headers=headers, path=f"kill-switch/{CANARY}"
    )

    kept = [
        str(row.columns) for name, row in scenario.fakes.store.rows.items() if name[0] == "auditlog"
    ]
    assert len(kept) == 2
    assert CANARY.removeprefix("sig=") not in "".join(kept)


async def test_long_state_is_cut_and_has_its_sha256(scenario: Scenario) -> None:
    flows = [f"8c2e3f7a-0000-4000-8000-{number:012}" for number in range(4000)]
    accepted = await read_environment_settings(scenario.services, scenario.build.environment.id)
    await scenario.services.tables.environment_settings.upsert(
        accepted.__replace__(excluded_flows=frozenset(flows))
    )

    await change_settings(scenario, {"excluded_flows": []})

    (entry,) = await list_entries()
    assert len(str(entry["state_before"])) < 61_000
    assert "SHA-256" in str(entry["state_before"])
    assert json.loads(str(entry["state_after"])) == {"excluded_flows": []}

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import queue_triggers
from shared.alerts import delete_settled_alerts
from shared.bootstrap import provide
from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion
from shared.domain.plans.remediation import StartSource
from shared.errors import PlatformError, ServiceUnavailable
from shared.queues import KEY_EVENTS, POISON, POLICY_EVENTS
from shared.use_cases.check_keys import check_keys
from shared.use_cases.react_to_policy_event import LINKED
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.sound_key import VAULT_ID, VAULT_URL
from tests.functional.scenarios.app_calls import TRIGGERS, build_message
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(hours=24)


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_polling_flow("Messages")
    scenario.build.apply_key()
    return scenario


def build_key_event(*, key: str = "pp-cmk", kind: str = "KeyNewVersionCreated") -> dict[str, Any]:
    return {
        "id": f"event-{kind}",
        "eventType": f"Microsoft.KeyVault.{kind}",
        "topic": VAULT_ID,
        "subject": key,
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "1",
        "data": {"VaultName": "kv-cmk", "ObjectType": "Key", "ObjectName": key},
    }


async def list_alerts(scenario: Scenario) -> list[tuple[str, str]]:
    """Delete settled alerts. Return the reason code and the finding's code of each alert that is
    left.
    """
    await delete_settled_alerts(scenario.services)
    rows = {
        scenario.services.tables.key_alerts.get_row_name(row): row.finding.code
        for row in await scenario.services.tables.key_alerts.read_all()
    }
    notices = await scenario.services.tables.alerts.read_all("alert")
    return sorted((one.reason_code, rows[one.row]) for one in notices)


def change_key_version(scenario: Scenario, **changes: Any) -> None:
    versions = scenario.world.keys[(VAULT_URL, "pp-cmk")]
    versions[0] = replace(versions[0], **changes)


async def test_new_key_version_is_checked_at_once_and_a_day_later(
    scenario: Scenario,
) -> None:
    await scenario.opt_in()
    writes = len(scenario.world.writes)

    await queue_triggers.on_key_event(build_message(build_key_event()))
    (recheck,) = scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)
    first = await scenario.services.tables.remediations.read_all()
    sound = await list_alerts(scenario)
    change_key_version(scenario, is_enabled=False)
    assert recheck.due == scenario.world.clock.now() + DAY
    await scenario.run(DAY + timedelta(minutes=30))
    both = await scenario.services.tables.remediations.read_all()

    assert sound == []
    assert await list_alerts(scenario) == [("key_problem", "key_enabled")]
    assert len(first) == 1
    assert [one.start_source for one in both] == [StartSource.KEY_EVENT] * 2
    assert {one.environment_ids for one in both} == {(scenario.build.environment.id,)}
    assert await scenario.read_jobs() == {}
    assert scenario.world.writes[writes:] == []
    assert scenario.fakes.messages.list_waiting_messages(KEY_EVENTS) == []


@pytest.mark.parametrize("on_event", [queue_triggers.on_key_event, queue_triggers.on_policy_event])
async def test_vault_that_does_not_answer_stops_neither_remediation_nor_other_checks(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, on_event: Any
) -> None:
    world, vaults = scenario.world, scenario.fakes.ports.keys
    (policy,) = world.policies.values()
    down = replace(policy, id=f"{policy.id}-0", name="down", vault_id=f"/down{policy.vault_id}")
    world.policies = {down.id: down, policy.id: policy}
    change_key_version(scenario, is_enabled=False)
    read = vaults.read_vault

    async def read_unless_down(vault: str) -> KeyVault:
        if vault == down.vault_id:
            raise ServiceUnavailable("503")
        return await read(vault)

    monkeypatch.setattr(vaults, "read_vault", read_unless_down)

    is_key = on_event is queue_triggers.on_key_event
    await on_event(
        build_message(
            build_key_event() if is_key else build_policy_event("ResourceWriteSuccess", policy.id)
        )
    )
    if not is_key:
        await on_event(build_message(build_policy_event("ResourceWriteSuccess", down.id)))

    assert await list_alerts(scenario) == [("key_problem", "key_enabled")]
    assert "down" in {
        one.policy_name for one in await scenario.services.tables.key_alerts.read_all()
    }
    (started,) = await scenario.services.tables.remediations.read_all()
    assert started.environment_ids == (scenario.build.environment.id,)
    waiting = scenario.fakes.messages.list_waiting_messages(KEY_EVENTS if is_key else POLICY_EVENTS)
    kinds = sorted(one.message_id.partition("/")[0] for one in waiting)
    assert kinds == ["again", *["recheck"] * is_key]


async def test_key_that_expires_soon_is_checked_once(
    scenario: Scenario,
) -> None:
    """Only a new version needs a second check."""
    await queue_triggers.on_key_event(build_message(build_key_event(kind="KeyNearExpiry")))

    assert len(await scenario.services.tables.remediations.read_all()) == 1
    assert scenario.fakes.messages.list_waiting_messages(KEY_EVENTS) == []


async def test_event_of_a_key_without_a_policy_starts_nothing(scenario: Scenario) -> None:
    await queue_triggers.on_key_event(build_message(build_key_event(key="another")))

    assert await scenario.services.tables.remediations.read_all() == []
    assert scenario.fakes.messages.list_waiting_messages(KEY_EVENTS) == []
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_finding_about_a_key_is_reported_once_and_then_cleared(scenario: Scenario) -> None:
    notices = scenario.fakes.notices
    now = scenario.world.clock.now()
    change_key_version(scenario, expires_at=now + timedelta(days=20))

    await queue_triggers.on_key_event(build_message(build_key_event(kind="KeyNearExpiry")))
    await queue_triggers.on_key_event(build_message(build_key_event(kind="KeyNearExpiry")))
    await run_daily_check(scenario.services, "day-1")
    nearing, lines = await list_alerts(scenario), len(notices.told)
    scenario.world.clock.advance(timedelta(days=21))
    await run_daily_check(scenario.services, "day-2")
    expired = await list_alerts(scenario)
    change_key_version(scenario, expires_at=None)
    [sound] = await check_keys(scenario.services)

    assert nearing == [("key_warning", "key_validity")]
    assert lines == 1
    assert expired == [("key_problem", "key_validity")]
    assert [one.reason_code for one in notices.told] == ["key_warning", "key_problem"]
    assert "These environments stop: " in notices.told[-1].message
    assert (sound.level, await list_alerts(scenario)) == ("ok", [])


async def test_unreadable_key_is_reported_on_the_second_day(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_key_version(scenario, is_enabled=False)
    await run_daily_check(scenario.services, "day-1")

    async def raise_no_answer() -> list[EnterprisePolicy]:
        raise ServiceUnavailable("503")

    monkeypatch.setattr(scenario.fakes.ports.keys, "read_policies", raise_no_answer)
    scenario.world.clock.advance(DAY)
    await run_daily_check(scenario.services, "day-2")
    first = await list_alerts(scenario)
    scenario.world.clock.advance(DAY)
    await run_daily_check(scenario.services, "day-3")
    second = await list_alerts(scenario)
    monkeypatch.undo()
    change_key_version(scenario, is_enabled=True)
    await run_daily_check(scenario.services, "day-4")

    assert first == [("key_problem", "key_enabled")]
    assert second == [("key_problem", "key_enabled"), ("key_warning", "key_checked")]
    assert await list_alerts(scenario) == []


async def test_deleted_key_is_a_problem_and_inaccessible_key_is_unknown(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def raise_forbidden(vault: KeyVault, name: str) -> list[KeyVersion]:
        raise PlatformError("Forbidden", status=403, code="Forbidden")

    scenario.world.keys.clear()
    [deleted] = await check_keys(scenario.services)
    monkeypatch.setattr(scenario.fakes.ports.keys, "read_key_versions", raise_forbidden)
    [hidden] = await check_keys(scenario.services)

    codes = {one.code: one.level for one in deleted.findings}
    assert codes["key_enabled"] == "problem"
    assert {one.code: one.level for one in hidden.findings}["key_enabled"] == "unknown"


async def test_missing_policy_is_reported(scenario: Scenario) -> None:
    scenario.world.policies.clear()

    await run_daily_check(scenario.services, "day-1")

    assert await list_alerts(scenario) == [("key_problem", "policy_watched")]


async def test_key_without_a_policy_is_checked_without_an_alert(scenario: Scenario) -> None:
    scenario.world.policies.clear()
    change_key_version(scenario, size=4096)

    [found] = await check_keys(scenario.services, vault="KV-CMK", key="pp-cmk")

    assert (found.policy_id, found.level) == ("", "problem")
    assert await list_alerts(scenario) == []


async def test_key_is_checked_after_an_event_of_its_policy(
    scenario: Scenario,
) -> None:
    link = scenario.build.environment.policy
    assert link
    written = build_policy_event("ResourceWriteSuccess", link.policy_id)
    change_key_version(scenario, key_type="EC")

    await queue_triggers.on_policy_event(build_message(written))
    after_write = await list_alerts(scenario)
    change_key_version(scenario, key_type="RSA")
    linked = {
        "specversion": "1.0",
        "id": "linked-1",
        "type": LINKED,
        "source": "/environments/1",
        "data": {
            "environmentId": scenario.build.environment.id,
            "policyId": link.policy_id,
            "linkStatus": "Linked",
        },
    }
    await queue_triggers.on_policy_event(build_message(linked))
    after_link = await list_alerts(scenario)
    scenario.world.policies.clear()
    deleted = build_policy_event("ResourceDeleteSuccess", link.policy_id)
    await queue_triggers.on_policy_event(build_message(deleted))

    assert after_write == [("key_problem", "key_type")]
    assert after_link == []
    assert await list_alerts(scenario) == [("key_problem", "policy_watched")]


@pytest.mark.parametrize("below", ["", "/providers/Microsoft.Authorization/roleAssignments/r"])
async def test_key_is_checked_after_a_change_of_its_vault(scenario: Scenario, below: str) -> None:
    vault = f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv{below}"
    link = scenario.build.environment.policy
    assert link
    vault_id = vault.removesuffix(below).lower()
    policies, vaults = scenario.world.policies, scenario.world.vaults
    policies[link.policy_id] = replace(policies[link.policy_id], vault_id=vault_id)
    vaults[vault_id] = replace(vaults[VAULT_ID], id=vault_id, key_permissions={})

    other = build_policy_event("ResourceWriteSuccess", f"{vault_id}-2{below}")
    await queue_triggers.on_policy_event(build_message(other))
    before = await list_alerts(scenario)
    await queue_triggers.on_policy_event(
        build_message(build_policy_event("ResourceWriteSuccess", vault))
    )

    assert before == []
    assert await list_alerts(scenario) == [("key_problem", "key_grants")]
    assert await scenario.services.tables.remediations.read_all() == []


def build_policy_event(kind: str, policy_id: str) -> dict[str, Any]:
    return {
        "id": f"event-{kind}",
        "eventType": f"Microsoft.Resources.{kind}",
        "topic": "/subscriptions/s",
        "subject": policy_id,
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "2",
        "data": {"resourceUri": policy_id},
    }

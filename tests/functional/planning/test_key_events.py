"""Events of a key: verified at once and a day later, and no flow is copied for a new version."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import key_events
from shared.bootstrap import provide
from shared.domain.keys.key import EnterprisePolicy, Key, KeyVault
from shared.domain.plans.remediation import Origin
from shared.services import KEY_EVENTS, PARKED
from tests.functional.stories.app_calls import TRIGGERS, message_of
from tests.functional.stories.remediation_story import Story

DAY = timedelta(hours=24)
VAULT_ID, VAULT_URL = "/vaults/kv1", "https://kv1.vault.azure.net/"
POLICY_FINDINGS = "shared.use_cases.react_to_key_event"


@pytest.fixture
async def story() -> Story:
    """A linked environment whose flow has moved, and the sound key of its policy."""
    story = Story()
    provide(story.services)
    story.driver.use_cases = TRIGGERS
    story.build.polling_flow("Messages")
    link = story.build.link()
    world = story.world
    world.policies[link.policy_id] = EnterprisePolicy(
        id=link.policy_id,
        name="cmk-eu",
        location="europe",
        system_id=link.system_id,
        encryption_state="Enabled",
        vault_id=VAULT_ID,
        key_name="pp-cmk",
        key_version=None,
        health="Healthy",
        principal_id="principal",
    )
    world.vaults[VAULT_ID] = KeyVault(
        id=VAULT_ID,
        url=VAULT_URL,
        soft_delete=True,
        purge_protection=True,
        uses_rbac=False,
        key_permissions={"principal": frozenset({"get", "wrapkey", "unwrapkey"})},
    )
    world.keys[(VAULT_URL, "pp-cmk")] = [
        Key(
            name="pp-cmk",
            version="v2",
            key_type="RSA",
            size=2048,
            is_enabled=True,
            not_before=None,
            expires=None,
            created=world.clock.now(),
        )
    ]
    return story


def key_event(*, key: str = "pp-cmk", kind: str = "KeyNewVersionCreated") -> dict[str, Any]:
    """Return an event of a vault, in the schema of Event Grid."""
    return {
        "id": f"event-{kind}",
        "eventType": f"Microsoft.KeyVault.{kind}",
        "topic": VAULT_ID,
        "subject": key,
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "1",
        "data": {"VaultName": "kv1", "ObjectType": "Key", "ObjectName": key},
    }


def problems(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the check of the policy has logged as an error."""
    return [
        one.getMessage()
        for one in caplog.records
        if one.name == POLICY_FINDINGS and one.levelno == logging.ERROR
    ]


async def test_a_new_version_is_looked_at_now_and_a_day_later_and_no_flow_is_copied(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    """Both looks verify the key and sweep its environments; a moved flow stays as it is."""
    await story.opt_in()
    writes = len(story.world.writes)

    await key_events.on_key_event(message_of(key_event()))
    (recheck,) = story.twins.messages.waiting(KEY_EVENTS)
    first = await story.services.tables.remediations.all()
    sound = problems(caplog)
    versions = story.world.keys[(VAULT_URL, "pp-cmk")]
    versions[0] = replace(versions[0], is_enabled=False)
    assert recheck.due == story.world.clock.now() + DAY
    await story.run(DAY + timedelta(minutes=30))
    both = await story.services.tables.remediations.all()

    assert sound == []
    assert any(text.startswith("policy cmk-eu: ") for text in problems(caplog))
    assert len(first) == 1
    assert [one.origin for one in both] == [Origin.KEY_EVENT] * 2
    assert {one.environment_ids for one in both} == {(story.build.environment.id,)}
    assert await story.jobs() == {}
    assert story.world.writes[writes:] == []
    assert story.twins.messages.waiting(KEY_EVENTS) == []


async def test_a_key_that_nears_its_expiry_is_verified_and_not_looked_at_again(
    story: Story,
) -> None:
    """Only a new version takes a day to arrive everywhere."""
    await key_events.on_key_event(message_of(key_event(kind="KeyNearExpiry")))

    assert len(await story.services.tables.remediations.all()) == 1
    assert story.twins.messages.waiting(KEY_EVENTS) == []


async def test_a_key_of_no_watched_policy_is_of_no_concern(story: Story) -> None:
    """Vaults hold other keys too: nothing is started, nothing is parked."""
    await key_events.on_key_event(message_of(key_event(key="another")))

    assert await story.services.tables.remediations.all() == []
    assert story.twins.messages.waiting(KEY_EVENTS) == []
    assert story.twins.messages.waiting(PARKED) == []

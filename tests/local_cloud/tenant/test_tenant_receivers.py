import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yarl
from standardwebhooks.webhooks import Webhook

from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.teams import build_card
from shared.adapters.entra.identity import build_application_credential
from shared.adapters.system_clock import SystemClock
from shared.bootstrap.core_services import CoreServices
from shared.bootstrap.notification_channels import build_channels
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.settings import Settings
from shared.state.circuit_breakers import CircuitBreakers
from shared.state.tables import Tables
from tests.contract.adapter_world import Adapters, build_description, run_adapters
from tests.fakes.memory_store import MemoryStore
from tests.local_cloud.tenant.tenant_world import APP, APP_CLIENT

SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes, as it says").decode()
SIGNATURE = "c2lnbmF0dXJlIG9mIGEgY2hhbm5lbA"
TOPIC = "https://told.westeurope-1.eventgrid.azure.net/api/events"
HOOK = "https://hooks.contoso.example/cmk-flow"
CHANNEL = (
    "https://teams-channel.environment.api.powerplatform.com/powerautomate/automations/direct"
    f"/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig={SIGNATURE}"
)
NOTIFICATION = Notification(
    id="cause-0",
    correlation_id="cause",
    pending_action=PendingAction(
        kind=PendingActionKind.FLOWS_BLOCKED,
        reason_code="owner_unavailable",
        count=2,
        environment_name="Finance",
        flows=("Take orders", "Take returns"),
        message="Its owner has left.",
        fix="Name another owner.",
        next_command="cmkflow retry r-1",
    ),
    created_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
    link="https://app.example/api/dashboard/remediations/r-1",
    link_title="Open the flows",
)
EVENT = build_cloud_event(NOTIFICATION)


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    receivers = {"webhookSecret": SECRET, "channelSignature": SIGNATURE}
    async with run_adapters(monkeypatch, build_description() | {"receivers": receivers}) as built:
        yield built


async def read_notifications(platform: Adapters) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await platform.world.control("GET", "/received-messages")
    return found


async def post(platform: Adapters, url: str, content: bytes, **headers: str) -> int:
    world = platform.world
    session, sent = platform.http._transport._transport.session, headers  # type: ignore[attr-defined]
    async with session.post(
        yarl.URL(url, encoded=True), data=content, headers=sent, proxy=world.server.proxy_url
    ) as answer:
        return int(answer.status)


async def test_every_channel_sends_to_its_receiver(platform: Adapters) -> None:
    settings = Settings(
        tenant_id="t", event_grid_topic=TOPIC, webhook=HOOK, webhook_secret=SECRET,
        teams_webhook=CHANNEL,
    )  # fmt: skip
    clock, store = SystemClock(), MemoryStore()
    async with AsyncExitStack() as closing:
        credential = build_application_credential(APP_CLIENT)
        closing.push_async_callback(credential.close)
        ground = CoreServices(
            settings=settings, closing=closing, credential=credential, clock=clock, store=store,
            circuits=CircuitBreakers(Tables(store), clock, settings), http=platform.http,
        )  # fmt: skip
        for channel in build_channels(ground) * 2:
            # The receiver rejects an old time.
            await channel.send(replace(NOTIFICATION, created_at=datetime.now(UTC)))

    arrived = await read_notifications(platform)
    assert [(one["receiver"], one["is_repeated"]) for one in arrived] == [
        ("event_grid", False), ("webhook", False), ("teams", False),
        ("event_grid", True), ("webhook", True), ("teams", False),
    ]  # fmt: skip
    assert {one["title"] for one in arrived} == {
        "2 flows blocked in Finance: the owner is not available"
    }
    assert {(one["receiver"], one["correlation"]) for one in arrived} == {
        ("event_grid", "cause"), ("webhook", "cause"), ("teams", ""),
    }  # fmt: skip
    assert {one["link"] for one in arrived} == {NOTIFICATION.link}


def build_signed_headers(body: bytes, identity: str = EVENT["id"], **age: int) -> dict[str, str]:
    """Return the headers that the library of Standard Webhooks would send."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(**age)
    return {
        "webhook-id": identity,
        "webhook-timestamp": f"{at.timestamp():.0f}",
        "webhook-signature": Webhook(SECRET).sign(identity, at, body.decode()),
    }


async def test_webhook_without_a_valid_recent_signature_is_rejected(platform: Adapters) -> None:
    body = json.dumps(EVENT).encode()

    assert await post(platform, HOOK, body, **build_signed_headers(body)) == 204
    assert await post(platform, HOOK, body + b" ", **build_signed_headers(body)) == 401
    assert (
        await post(
            platform, HOOK, body, **build_signed_headers(body) | {"webhook-signature": "v1,"}
        )
        == 401
    )
    assert await post(platform, HOOK, body, **build_signed_headers(body, "other")) == 400
    assert await post(platform, HOOK, body, **build_signed_headers(body, minutes=6)) == 400
    assert await post(platform, HOOK, b" " * 30_000, **build_signed_headers(b"")) == 413
    assert [bool(one["refusal"]) for one in await read_notifications(platform)] == [
        False,
        *[True] * 5,
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"id": ""},
        {"correlationId": "none of CloudEvents"},
        {"time": "2026-01-01T00:00:00"},
        {"data": EVENT["data"] | {"reason": "https://h.example/invoke?sp=1&sig=abc"}},
    ],
)
async def test_topic_accepts_cloud_events_only(platform: Adapters, change: dict[str, Any]) -> None:
    token = platform.world.issue_token(APP, "https://eventgrid.azure.net")
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/cloudevents-batch+json; charset=utf-8",
    }
    url = f"{TOPIC}?api-version=2018-01-01"

    assert await post(platform, url, json.dumps([EVENT, EVENT | change]).encode(), **headers) == 400
    assert await post(platform, url, json.dumps([EVENT]).encode(), **headers) == 200
    headers["Authorization"] = f"Bearer {platform.world.issue_token(APP, 'https://other')}"
    assert await post(platform, url, json.dumps([EVENT]).encode(), **headers) == 401


def build_broken_cards() -> list[dict[str, Any]]:
    """Return cards that the Workflows webhook accepts and Teams cannot show."""
    good = build_card(NOTIFICATION)
    newer = good | {"version": "1.6"}
    untold, coloured, empty, unsafe = (deepcopy(good) for _ in range(4))
    untold["body"][0]["inlines"][0]["text"] = ""
    coloured["body"][0]["inlines"][0]["color"] = "Red"
    empty["body"][1]["inlines"] = []
    unsafe["actions"][0]["url"] = "http://app.example"
    return [newer, good | {"body": []}, untold, coloured, empty, unsafe]


@pytest.mark.parametrize("content", build_broken_cards())
async def test_card_that_teams_cannot_show_is_rejected(
    platform: Adapters, content: dict[str, Any]
) -> None:
    """The real webhook accepts such a card, and then nobody sees it."""
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    message = {"type": "message", "attachments": [attachment]}

    assert await post(platform, CHANNEL, json.dumps(message).encode()) == 400
    attachment["content"] = build_card(NOTIFICATION)
    assert await post(platform, CHANNEL, json.dumps(message).encode()) == 202
    wrong = CHANNEL.replace(SIGNATURE, "other")
    assert await post(platform, wrong, json.dumps(message).encode()) == 401


async def test_title_in_teams_has_no_invisible_characters(platform: Adapters) -> None:
    """Invisible characters let long words break in a card, but a terminal would show them."""
    blocked = replace(NOTIFICATION.pending_action, reason_code="ConnectionAuthorizationFailed")
    card = build_card(replace(NOTIFICATION, pending_action=blocked))
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}

    message = {"type": "message", "attachments": [attachment]}
    await post(platform, CHANNEL, json.dumps(message).encode())

    [shown] = await read_notifications(platform)
    assert shown["title"] == blocked.title


async def test_unknown_person_is_answered_with_the_users(platform: Adapters) -> None:
    """A person who mistypes a name needs the list of names in the error."""
    world = platform.world
    async with world.session.put(
        f"{world.server.control_url}/device-code-user", json={"upn": "nobody@x"}
    ) as response:
        answer = await response.json()

    assert answer["error"]["message"].startswith("The tenant has no user nobody@x. Its users: ")

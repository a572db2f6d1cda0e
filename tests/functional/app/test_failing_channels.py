import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.bootstrap.core_services import CoreServices
from shared.bootstrap.notification_channels import build_channels
from shared.domain.alert import Alert
from shared.domain.plans.notification import MOST_IN_A_RUN, Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import NotificationChannel, UnusableChannel
from shared.services import Services
from shared.use_cases import notify as module
from shared.use_cases.check_deployment import check_deployment
from shared.use_cases.check_health import check_health
from shared.use_cases.notify import notify
from shared.use_cases.show_status import read_pending_actions
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.remediation_scenario import Scenario

MINUTE = timedelta(minutes=1)
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/canary/)"
KEY = "whsec_" + "A" * 32
GOOD = {
    "event_grid_topic": "https://t.westeurope-1.eventgrid.azure.net/api/events",
    "webhook": "https://hook.example/in",
    "webhook_secret": KEY,
    "teams_webhook": "https://teams.example/in",
}


@dataclass
class Receiver:
    """A channel that can raise an error, for all notifications or for one reason code."""

    name: str = "webhook"
    #: What happens to what it is sent; None: it is accepted.
    raises: BaseException | None = None
    #: It rejects only what is about this code.
    rejects: str = ""
    tries: int = 0
    accepted: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.tries += 1
        if self.raises and self.rejects in ("", notification.pending_action.reason_code):
            raise self.raises
        self.accepted.append(notification)

    @property
    def codes(self) -> set[str]:
        return {one.pending_action.reason_code for one in self.accepted}


class Hanging(Receiver):
    """A channel that never answers."""

    async def send(self, notification: Notification) -> None:
        self.tries += 1
        await asyncio.Event().wait()


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


async def raise_alerts(scenario: Scenario, *codes: str) -> None:
    for code in codes:
        notice = Alert(
            reason_code=code,
            row=("table", code, "key"),
            message="Why.",
            raised_at=scenario.services.now,
        )
        await scenario.services.tables.alerts.insert(notice)


def build_services_with(scenario: Scenario, *channels: NotificationChannel) -> Services:
    return replace(scenario.services, channels=channels)


async def run_timer(scenario: Scenario, *channels: NotificationChannel) -> int:
    """Let a minute pass, then send the due notifications. Return how many were accepted."""
    scenario.world.clock.advance(MINUTE)
    return await notify(build_services_with(scenario, *channels))


# --- settings -------------------------------------------------------------------------------------


def configure_channels(scenario: Scenario, **settings: str) -> dict[str, NotificationChannel]:
    ground: Any = CoreServices(
        settings=build_fake_settings(**{**GOOD, **settings}),
        closing=AsyncExitStack(),
        credential=None,  # type: ignore[arg-type]  # nothing is called
        clock=scenario.world.clock,
        store=scenario.fakes.store,
        circuits=None,  # type: ignore[arg-type]  # the same
        http=_Client(),  # type: ignore[arg-type]  # the same
    )
    return {one.name: one for one in build_channels(ground)}


class _Client:
    def without_circuit_breakers(self) -> "_Client":
        return self


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("event_grid", "event_grid_topic", REFERENCE),
        ("event_grid", "event_grid_topic", "x"),
        ("webhook", "webhook", REFERENCE),
        ("webhook", "webhook_secret", REFERENCE),
        ("webhook", "webhook_secret", ""),
        ("webhook", "webhook_secret", "whsec_canary"),
        ("teams", "teams_webhook", REFERENCE),
        ("teams", "teams_webhook", "http://canary.example"),
    ],
)
async def test_unusable_setting_disables_its_channel_and_is_reported(
    scenario: Scenario, name: str, setting: str, value: str
) -> None:
    channels = configure_channels(scenario, **{setting: value})
    unusable = [one.name for one in channels.values() if isinstance(one, UnusableChannel)]
    other = Receiver(name="another")
    services = build_services_with(scenario, other, channels[name])

    await notify(services)
    (failing,) = (await check_health(services)).failing_channels
    waiting = [
        one
        for one in (await read_pending_actions(services)).items
        if one.kind is PendingActionKind.CHANNEL_FAILING
    ]
    examined = [one for one in await check_deployment(services) if one.subject == name]

    assert set(channels) == {"log", "event_grid", "webhook", "teams"}
    assert unusable == [name]
    assert (failing.channel, failing.is_unusable) == (name, True)
    assert f"CMK_{setting.upper()}" in failing.settings
    assert failing.error.startswith(f"CMK_{setting.upper()} is ")
    assert [(one.reason_code, one.message) for one in waiting] == [(name, failing.error)]
    assert [(one.level, one.message) for one in examined] == [("problem", failing.error)]
    assert [one.pending_action.kind for one in other.accepted] == [
        PendingActionKind.CHANNEL_FAILING
    ]
    for text in (failing.fix, waiting[0].fix, examined[0].fix):
        assert text == failing.fix
        assert text.endswith(".")
    assert "canary" not in repr((failing, waiting, examined, other.accepted)).lower()


# --- sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel",
    [
        Hanging(),
        Receiver(raises=ValueError("a defect")),
        Receiver(raises=TimeoutError()),
        Receiver(raises=ServiceUnavailable("out")),
        Receiver(raises=PlatformError("no", code="Http400", status=400)),
    ],
    ids=["hangs", "has a defect", "times out", "is out", "rejects"],
)
async def test_failing_channel_does_not_affect_others(
    scenario: Scenario, channel: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_SEND", 0.05)
    channel.tries = 0
    other = Receiver(name="another")
    await raise_alerts(scenario, *(f"code_{number}" for number in range(10)))

    await run_timer(scenario, channel, other)
    (failing,) = (
        await check_health(build_services_with(scenario, channel, other))
    ).failing_channels

    assert len(other.codes) == 10
    assert 1 <= channel.tries <= 3
    assert (failing.channel, failing.notification_count) == ("webhook", 10)
    assert failing.settings == "CMK_WEBHOOK and CMK_WEBHOOK_SECRET"
    assert "CMK_WEBHOOK" in failing.fix


async def test_slow_channel_gets_the_rest_in_later_runs(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "_clock", lambda: now)

    class Slow(Receiver):
        async def send(self, notification: Notification) -> None:
            nonlocal now
            now += 20.0
            await super().send(notification)

    slow = Slow()
    await raise_alerts(scenario, *(f"code_{number}" for number in range(10)))

    await run_timer(scenario, slow)
    first = slow.tries
    for _ in range(5):
        await run_timer(scenario, slow)

    assert first == 3
    assert len(slow.codes) == slow.tries == 10


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("out"),
        PlatformError("gone", code="Http404", status=404),
        ValueError("defect"),
    ],
    ids=repr,
)
async def test_recovered_channel_gets_all_notifications_in_the_next_run(
    scenario: Scenario, error: BaseException
) -> None:
    channel = Receiver(raises=error)
    await raise_alerts(scenario, *(f"code_{number}" for number in range(15)))
    for _ in range(120):
        await run_timer(scenario, channel)
    tries, channel.raises = channel.tries, None

    await run_timer(scenario, channel)

    assert 120 <= tries <= 3 * 120
    assert len(channel.accepted) == len(channel.codes) == 15
    assert (await check_health(build_services_with(scenario, channel))).failing_channels == ()


async def test_channel_gets_nothing_during_the_pause_that_it_requests(scenario: Scenario) -> None:
    channel = Receiver(raises=ThrottledError("", retry_after=timedelta(days=400)))
    await raise_alerts(scenario, "code_0", "code_1")
    await run_timer(scenario, channel)
    for _ in range(58):
        await run_timer(scenario, channel)
    tries, channel.raises = channel.tries, None
    for _ in range(3):
        await run_timer(scenario, channel)

    assert tries == 1
    assert channel.codes == {"code_0", "code_1"}


async def test_rejected_notification_does_not_block_others(scenario: Scenario) -> None:
    no = PlatformError("too long", code="Http413", status=413)
    channel = Receiver(raises=no, rejects="code_0")
    await raise_alerts(scenario, *(f"code_{number}" for number in range(6)))

    for _ in range(60):
        await run_timer(scenario, channel)

    assert channel.codes == {f"code_{number}" for number in range(1, 6)}
    assert channel.tries < 5 + 15


# --- many causes ----------------------------------------------------------------------------------


async def test_thousand_causes_are_sent_as_a_digest(scenario: Scenario) -> None:
    channel, log = Receiver(), Receiver(name="log")
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order()  # a plan
    await raise_alerts(scenario, *(f"code_{number}" for number in range(1_000)))

    await run_timer(scenario, channel, log)
    for _ in range(60):
        await run_timer(scenario, channel, log)

    for one in (channel, log):
        kinds = Counter(told.pending_action.kind for told in one.accepted)
        (digest,) = [
            told.pending_action
            for told in one.accepted
            if told.pending_action.kind is PendingActionKind.DIGEST
        ]
        assert len(one.accepted) <= MOST_IN_A_RUN
        assert kinds[PendingActionKind.PLAN_AWAITING_APPROVAL] == 1  # the alerts look for each kind
        assert digest.count + len(one.accepted) - 1 == 1_001
        assert "Action required: code " in digest.message
        assert digest.next_command == "cmkflow status"


async def test_causes_of_a_rejected_digest_are_sent_in_the_next_run(
    scenario: Scenario,
) -> None:
    class Choosy(Receiver):
        async def send(self, notification: Notification) -> None:
            if notification.pending_action.kind is PendingActionKind.DIGEST and self.raises:
                raise self.raises
            self.accepted.append(notification)

    channel = Choosy(raises=ServiceUnavailable("out"))
    await raise_alerts(scenario, *(f"code_{number}" for number in range(30)))
    await run_timer(scenario, channel)
    channel.raises = None
    await run_timer(scenario, channel)

    assert len(channel.codes) == len(channel.accepted) == 30

"""Test what happens to messages that fail."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from functions.message_handling import build_invocation, handle_message
from shared.bootstrap import provide
from shared.errors import (
    Conflict,
    JobBlocked,
    MustWait,
    NotFound,
    PlatformError,
    ServiceUnavailable,
    ThrottledError,
    TransientError,
)
from shared.queues import KEY_EVENTS, POISON
from shared.reason import Reason
from tests.fakes.messages import Delivered
from tests.functional.scenarios.app_calls import build_message
from tests.functional.scenarios.remediation_scenario import Scenario

URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef"
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
    "&sig=abcDEF0123456789abcDEF0123456789abcDEF01234"
)
BODY = {"id": "event-1", "eventType": "Some.Type"}


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    return scenario


def build_failing_work(error: Exception) -> Callable[[], Awaitable[object]]:
    async def act() -> object:
        raise error

    return act


async def handle_failing_message(
    scenario: Scenario, error: Exception, message: Delivered | None = None
) -> None:
    received = build_message(BODY)
    if message:
        received = build_message(
            message.body, message_id=message.message_id, properties=message.properties
        )
    await handle_message(
        scenario.services, build_invocation(received, KEY_EVENTS), build_failing_work(error)
    )


@pytest.mark.parametrize("error", [TransientError(), Conflict()], ids=["transient", "conflict"])
async def test_message_with_a_transient_error_is_retried_with_growing_delays(
    scenario: Scenario, error: Exception
) -> None:
    start = scenario.world.clock.now()
    waits: list[timedelta] = []

    await handle_failing_message(scenario, error)
    while len(waits) < 8:
        message = max(
            scenario.fakes.messages.list_waiting_messages(KEY_EVENTS), key=lambda one: one.due
        )
        assert message.body == BODY
        waits.append(message.due - start)
        await handle_failing_message(scenario, error, message)

    assert waits == [timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 80, 160, 320, 600)]
    assert len(scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)) == 8
    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert "Tried 9 times" in str(parked.body["reason"])
    assert parked.body["message_id"] == "m-1"


async def test_event_is_retried_for_three_days(scenario: Scenario) -> None:
    """No other component would send the event again."""
    start = scenario.world.clock.now()
    await handle_failing_message(scenario, ServiceUnavailable())
    tries = 0
    while not scenario.fakes.messages.list_waiting_messages(POISON):
        tries += 1
        message = max(
            scenario.fakes.messages.list_waiting_messages(KEY_EVENTS), key=lambda one: one.due
        )
        scenario.world.clock.advance_to(message.due)
        await handle_failing_message(scenario, ServiceUnavailable(), message)

    assert timedelta(days=3) < scenario.world.clock.now() - start < timedelta(days=3, hours=1)
    assert tries < 450


async def test_message_is_delayed_as_retry_after_requests(scenario: Scenario) -> None:
    await handle_failing_message(
        scenario, TransientError("later", retry_after=timedelta(minutes=30))
    )

    (message,) = scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)
    assert message.due - scenario.world.clock.now() == timedelta(minutes=30)


@pytest.mark.parametrize("kind", ["waiting", "throttled"])
async def test_message_that_must_wait_never_becomes_a_poison_message(
    scenario: Scenario, kind: str
) -> None:
    later = scenario.world.clock.now() + timedelta(hours=1)
    error = (
        MustWait("not yet", until=later, code=Reason.NO_CALL_PERIOD)
        if kind == "waiting"
        else ThrottledError()
    )
    message: Delivered | None = None

    for _ in range(20):
        await handle_failing_message(scenario, error, message)
        messages = scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)
        message = max(messages, key=lambda one: int(one.properties["again"]))

    assert len(scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)) == 20
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_message_handled_twice_is_sent_again_once(scenario: Scenario) -> None:
    await handle_failing_message(scenario, ServiceUnavailable())
    await handle_failing_message(scenario, ServiceUnavailable())

    assert len(scenario.fakes.messages.list_waiting_messages(KEY_EVENTS)) == 1


@pytest.mark.parametrize(
    "error",
    [
        JobBlocked("a person has to act", code=Reason.ENVIRONMENT_READ_ONLY, fix="Do this."),
        PlatformError("no", code="Forbidden", status=403),
        NotFound("nothing there"),
    ],
    ids=["blocked", "refused", "not found"],
)
async def test_message_with_a_permanent_error_becomes_a_poison_message(
    scenario: Scenario, error: Exception
) -> None:
    await handle_failing_message(scenario, error)

    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert parked.body["reason"] == str(error)
    assert scenario.fakes.messages.list_waiting_messages(KEY_EVENTS) == []


async def test_internal_error_abandons_the_message(scenario: Scenario) -> None:
    with pytest.raises(ZeroDivisionError):
        await handle_failing_message(scenario, ZeroDivisionError("a defect"))

    assert scenario.fakes.messages.list_waiting_messages(KEY_EVENTS) == []
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_internal_error_contains_no_trigger_url(scenario: Scenario) -> None:
    """The host logs the exception."""
    defect = RuntimeError(f"cannot call {URL}")
    defect.__cause__ = ValueError(f"bad address {URL}")

    with pytest.raises(RuntimeError) as caught:
        await handle_failing_message(scenario, defect)

    assert "sig=abc" not in str(caught.value)
    assert "cannot call https://prod-01.westeurope.logic.azure.com/" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_message_is_not_completed_if_its_copy_cannot_be_sent(scenario: Scenario) -> None:
    async def refuse(*messages: object) -> None:
        raise ServiceUnavailable("no broker")

    scenario.fakes.messages.send = refuse  # type: ignore[method-assign]  # the broker is gone

    with pytest.raises(ServiceUnavailable, match="no broker"):
        await handle_failing_message(scenario, ServiceUnavailable("no platform"))

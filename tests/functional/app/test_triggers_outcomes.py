"""What the app does with a message that fails: send it again, set it aside, or raise."""

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
from tests.functional.scenarios.app_calls import message_of
from tests.functional.scenarios.remediation_scenario import Scenario

URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef"
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
    "&sig=abcDEF0123456789abcDEF0123456789abcDEF01234"
)
BODY = {"id": "event-1", "eventType": "Some.Type"}


@pytest.fixture
async def scenario() -> Scenario:
    """A scenario whose services the app uses."""
    scenario = Scenario()
    provide(scenario.services)
    return scenario


def failing(error: Exception) -> Callable[[], Awaitable[object]]:
    """Return work that raises this error."""

    async def act() -> object:
        raise error

    return act


async def deliver(scenario: Scenario, error: Exception, message: Delivered | None = None) -> None:
    """Handle a message, or a new one, whose work raises this error."""
    received = message_of(BODY)
    if message:
        received = message_of(
            message.body, message_id=message.message_id, properties=message.properties
        )
    await handle_message(scenario.services, build_invocation(received, KEY_EVENTS), failing(error))


@pytest.mark.parametrize("error", [TransientError(), Conflict()], ids=["transient", "conflict"])
async def test_a_passing_failure_is_tried_again_with_a_growing_wait(
    scenario: Scenario, error: Exception
) -> None:
    """The message comes again after 5, 10, 20 … 600 seconds, and then is a poison message."""
    start = scenario.world.clock.now()
    waits: list[timedelta] = []

    await deliver(scenario, error)
    while len(waits) < 8:
        message = max(scenario.fakes.messages.waiting(KEY_EVENTS), key=lambda one: one.due)
        assert message.body == BODY
        waits.append(message.due - start)
        await deliver(scenario, error, message)

    assert waits == [timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 80, 160, 320, 600)]
    assert len(scenario.fakes.messages.waiting(KEY_EVENTS)) == 8
    (parked,) = scenario.fakes.messages.waiting(POISON)
    assert "Tried 9 times" in str(parked.body["reason"])
    assert parked.body["message_id"] == "m-1"


async def test_an_event_outlasts_an_outage_of_three_days(scenario: Scenario) -> None:
    """Nothing sends an event again, so the app retries it for three days."""
    start = scenario.world.clock.now()
    await deliver(scenario, ServiceUnavailable())
    tries = 0
    while not scenario.fakes.messages.waiting(POISON):
        tries += 1
        message = max(scenario.fakes.messages.waiting(KEY_EVENTS), key=lambda one: one.due)
        scenario.world.clock.advance_to(message.due)
        await deliver(scenario, ServiceUnavailable(), message)

    assert timedelta(days=3) < scenario.world.clock.now() - start < timedelta(days=3, hours=1)
    assert tries < 450


async def test_the_wait_that_the_other_side_asks_for_is_kept(scenario: Scenario) -> None:
    """The app waits at least as long as `Retry-After` says."""
    await deliver(scenario, TransientError("later", retry_after=timedelta(minutes=30)))

    (message,) = scenario.fakes.messages.waiting(KEY_EVENTS)
    assert message.due - scenario.world.clock.now() == timedelta(minutes=30)


@pytest.mark.parametrize("kind", ["waiting", "throttled"])
async def test_waiting_is_no_failure(scenario: Scenario, kind: str) -> None:
    """A message that has to wait is never a poison message."""
    later = scenario.world.clock.now() + timedelta(hours=1)
    error = (
        MustWait("not yet", until=later, code=Reason.NO_CALL_PERIOD)
        if kind == "waiting"
        else ThrottledError()
    )
    message: Delivered | None = None

    for _ in range(20):
        await deliver(scenario, error, message)
        messages = scenario.fakes.messages.waiting(KEY_EVENTS)
        message = max(messages, key=lambda one: int(one.properties["again"]))

    assert len(scenario.fakes.messages.waiting(KEY_EVENTS)) == 20
    assert scenario.fakes.messages.waiting(POISON) == []


async def test_a_redelivered_message_is_sent_again_once(scenario: Scenario) -> None:
    """A message that is handled twice before it is completed is sent again once."""
    await deliver(scenario, ServiceUnavailable())
    await deliver(scenario, ServiceUnavailable())

    assert len(scenario.fakes.messages.waiting(KEY_EVENTS)) == 1


@pytest.mark.parametrize(
    "error",
    [
        JobBlocked("a person has to act", code=Reason.ENVIRONMENT_READ_ONLY, fix="Do this."),
        PlatformError("no", code="Forbidden", status=403),
        NotFound("nothing there"),
    ],
    ids=["blocked", "refused", "not found"],
)
async def test_what_no_repetition_changes_is_parked(scenario: Scenario, error: Exception) -> None:
    """The poison message has the reason, and the message is completed."""
    await deliver(scenario, error)

    (parked,) = scenario.fakes.messages.waiting(POISON)
    assert parked.body["reason"] == str(error)
    assert scenario.fakes.messages.waiting(KEY_EVENTS) == []


async def test_a_defect_gives_the_message_back(scenario: Scenario) -> None:
    """An unexpected exception reaches the host, which then abandons the message."""
    with pytest.raises(ZeroDivisionError):
        await deliver(scenario, ZeroDivisionError("a defect"))

    assert scenario.fakes.messages.waiting(KEY_EVENTS) == []
    assert scenario.fakes.messages.waiting(POISON) == []


async def test_a_defect_tells_the_host_no_trigger_url(scenario: Scenario) -> None:
    """The host logs the exception, so the app removes the trigger URL from it and its cause."""
    defect = RuntimeError(f"cannot call {URL}")
    defect.__cause__ = ValueError(f"bad address {URL}")

    with pytest.raises(RuntimeError) as caught:
        await deliver(scenario, defect)

    assert "sig=abc" not in str(caught.value)
    assert "cannot call https://prod-01.westeurope.logic.azure.com/" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_broker_that_takes_nothing_keeps_the_message(scenario: Scenario) -> None:
    """If the copy cannot be sent, the app raises, so that the message is not completed."""

    async def refuse(*messages: object) -> None:
        raise ServiceUnavailable("no broker")

    scenario.fakes.messages.send = refuse  # type: ignore[method-assign]  # the broker is gone

    with pytest.raises(ServiceUnavailable, match="no broker"):
        await deliver(scenario, ServiceUnavailable("no platform"))

from datetime import timedelta

import pytest

from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    MessageNotFound,
    MessageState,
    QueueCounts,
    SentMessage,
)
from local_cloud.service_bus.queue_model import Queue
from tests.fakes.clock import ManualClock
from tests.local_cloud.service_bus.queue_journal import MemoryJournal

MINUTE = timedelta(minutes=1)
SETTINGS = QueueSettings(name="jobs", max_delivery_count=3, dead_letters_expired_messages=True)


@pytest.fixture
def queue(clock: ManualClock, journal: MemoryJournal) -> Queue:
    return Queue(SETTINGS, clock.now, journal)


def send_and_defer(queue: Queue, *, time_to_live: timedelta | None = None) -> int:
    """Send, receive and defer a message. Return its sequence number."""
    queue.enqueue(SentMessage(payload=b"a", time_to_live=time_to_live))
    received = queue.receive()
    assert received is not None
    message, lock = received
    queue.defer(lock.token)
    return message.sequence_number


def test_deferred_message_is_received_only_by_its_number(queue: Queue) -> None:
    number = send_and_defer(queue)

    assert queue.receive() is None
    assert [message.state for message in queue.peek(1, 10)] == [MessageState.DEFERRED]
    assert queue.count_messages() == QueueCounts(deferred=1)
    [message] = queue.receive_deferred([number])
    queue.complete(queue.lock(message).token)
    assert queue.count_messages() == QueueCounts()


def test_locked_deferred_message_is_not_received_again(queue: Queue) -> None:
    number = send_and_defer(queue)
    [message] = queue.receive_deferred([number])
    queue.lock(message)

    with pytest.raises(MessageNotFound):
        queue.receive_deferred([number])
    assert queue.count_messages() == QueueCounts(locked=1)


@pytest.mark.parametrize("number", [2, 99])
def test_number_of_a_message_that_is_not_deferred_is_not_found(queue: Queue, number: int) -> None:
    first = send_and_defer(queue)
    queue.enqueue(SentMessage(payload=b"b"))

    with pytest.raises(MessageNotFound, match=str(number)):
        queue.receive_deferred([first, number])

    assert queue.count_messages() == QueueCounts(active=1, deferred=1)


def test_abandoned_deferred_message_is_deferred_again_and_its_failures_count(
    queue: Queue, clock: ManualClock
) -> None:
    number = send_and_defer(queue)
    [message] = queue.receive_deferred([number])
    queue.abandon(queue.lock(message).token)
    [message] = queue.receive_deferred([number])
    queue.lock(message)
    clock.advance(MINUTE)
    [message] = queue.receive_deferred([number])
    assert message.delivery_count == 2

    queue.abandon(queue.lock(message).token)

    assert queue.count_messages() == QueueCounts(dead_letter=1)
    assert queue.dead_letters is not None
    received = queue.dead_letters.receive()
    assert received is not None
    assert received[0].state is MessageState.ACTIVE


def test_deferred_message_expires_when_it_is_requested(queue: Queue, clock: ManualClock) -> None:
    """As in Azure, a deferred message outlives its time to live until somebody requests it."""
    number = send_and_defer(queue, time_to_live=MINUTE)
    clock.advance(2 * MINUTE)
    assert queue.count_messages() == QueueCounts(deferred=1)

    with pytest.raises(MessageNotFound):
        queue.receive_deferred([number])

    assert queue.count_messages() == QueueCounts(dead_letter=1)


def test_a_deferred_message_can_be_deleted_or_dead_lettered(queue: Queue) -> None:
    one, other = send_and_defer(queue), send_and_defer(queue)
    for message in queue.receive_deferred([one]):
        queue.delete(message)
    [message] = queue.receive_deferred([other])

    queue.move_to_dead_letters(
        queue.lock(message).token, DeadLettering(reason="old", description=None)
    )

    assert queue.count_messages() == QueueCounts(dead_letter=1)


def test_deferred_message_stays_deferred_after_a_restart(
    queue: Queue, clock: ManualClock, journal: MemoryJournal
) -> None:
    number = send_and_defer(queue)

    again = Queue(SETTINGS, clock.now, MemoryJournal())
    again.restore(journal.messages.values())

    assert again.receive() is None
    assert len(again.receive_deferred([number])) == 1


def test_settlement_can_change_the_properties_of_a_message(queue: Queue) -> None:
    queue.enqueue(SentMessage(payload=b"a"))
    for settle in (queue.abandon, queue.defer):
        received = queue.receive()
        assert received is not None
        settle(received[1].token, lambda payload: payload + b"+")
    [message] = queue.receive_deferred([1])
    reason = DeadLettering(reason="r", description=None)
    queue.move_to_dead_letters(queue.lock(message).token, reason, lambda payload: payload + b"!")

    assert queue.dead_letters is not None
    assert [dead.sent.payload for dead in queue.dead_letters.peek(1, 10)] == [b"a++!"]

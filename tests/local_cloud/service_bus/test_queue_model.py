from datetime import timedelta
from uuid import uuid4

import pytest

from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    MessageLockLost,
    MessageNotFound,
    QueueCounts,
    QueuedMessage,
    SentMessage,
)
from local_cloud.service_bus.queue_model import Queue
from tests.fakes.clock import ManualClock
from tests.local_cloud.service_bus.queue_journal import MemoryJournal

MINUTE = timedelta(minutes=1)


@pytest.fixture
def queue(clock: ManualClock, journal: MemoryJournal) -> Queue:
    return Queue(build_settings(), clock.now, journal)


def build_settings(**changes: object) -> QueueSettings:
    wanted: dict[str, object] = {
        "name": "Jobs",
        "lock_duration": MINUTE,
        "max_delivery_count": 3,
        "duplicate_detection_window": 10 * MINUTE,
    }
    return QueueSettings(**(wanted | changes))  # type: ignore[arg-type]  # a test's own settings


def build_message(text: str, **facts: object) -> SentMessage:
    return SentMessage(payload=text.encode(), **facts)  # type: ignore[arg-type]  # as above


def list_texts(messages: list[QueuedMessage]) -> list[str]:
    return [message.sent.payload.decode() for message in messages]


def receive(queue: Queue) -> str | None:
    received = queue.receive()
    return received[0].sent.payload.decode() if received else None


class TestLocks:
    def test_messages_are_received_in_the_order_of_sending(self, queue: Queue) -> None:
        for text in "abc":
            queue.enqueue(build_message(text))

        received = [receive(queue) for _ in range(4)]

        assert received == ["a", "b", "c", None]

    def test_completed_message_is_removed(self, queue: Queue, journal: MemoryJournal) -> None:
        queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")

        queue.complete(lock.token)

        assert queue.peek(0, 10) == []
        assert journal.messages == {}

    def test_abandoned_message_is_received_before_later_messages(self, queue: Queue) -> None:
        queue.enqueue(build_message("a"))
        queue.enqueue(build_message("b"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")

        queue.abandon(lock.token)

        message, _ = queue.receive() or pytest.fail("nothing to receive")
        assert (message.sent.payload, message.delivery_count) == (b"a", 1)

    def test_released_message_keeps_its_delivery_count(self, queue: Queue) -> None:
        queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")

        queue.release(lock.token)

        message, _ = queue.receive() or pytest.fail("nothing to receive")
        assert message.delivery_count == 0

    def test_an_expired_lock_counts_as_a_failed_delivery(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")

        clock.advance(MINUTE)

        with pytest.raises(MessageLockLost):
            queue.complete(lock.token)
        message, _ = queue.receive() or pytest.fail("nothing to receive")
        assert message.delivery_count == 1

    def test_a_renewed_lock_lasts_a_whole_duration_more(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")
        clock.advance(MINUTE * 0.9)

        end = queue.renew_lock(lock.token)

        assert end == clock.now() + MINUTE
        clock.advance(MINUTE * 0.9)
        queue.complete(lock.token)

    def test_unknown_lock_token_is_rejected(self, queue: Queue) -> None:
        for use in (queue.complete, queue.abandon, queue.release, queue.renew_lock):
            with pytest.raises(MessageLockLost):
                use(uuid4())


class TestDeadLetters:
    def test_too_many_failed_deliveries_end_in_the_dead_letter_queue(self, queue: Queue) -> None:
        queue.enqueue(build_message("a"))

        for _ in range(3):
            _, lock = queue.receive() or pytest.fail("nothing to receive")
            queue.abandon(lock.token)

        assert receive(queue) is None
        assert queue.dead_letters is not None
        [dead] = queue.dead_letters.peek(0, 10)
        assert dead.dead_lettering is not None
        assert dead.dead_lettering.reason == "MaxDeliveryCountExceeded"

    def test_a_dead_letter_keeps_its_number_and_its_reason(
        self, queue: Queue, journal: MemoryJournal
    ) -> None:
        number = queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")

        queue.move_to_dead_letters(
            lock.token, DeadLettering(reason="unreadable", description="no JSON")
        )

        [(key, dead)] = journal.messages.items()
        assert key == ("jobs/$deadletterqueue", number)
        assert dead.dead_lettering == DeadLettering(reason="unreadable", description="no JSON")

    def test_dead_letter_queue_has_no_maximum_delivery_count(self, queue: Queue) -> None:
        queue.enqueue(build_message("a"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")
        queue.move_to_dead_letters(lock.token, DeadLettering(reason=None, description=None))
        dead_letters = queue.dead_letters
        assert dead_letters is not None

        for _ in range(5):
            _, lock = dead_letters.receive() or pytest.fail("nothing to receive")
            dead_letters.abandon(lock.token)

        [dead] = dead_letters.peek(0, 10)
        assert dead.delivery_count == 5


class TestDuplicates:
    def test_second_message_with_an_id_is_dropped_within_the_window(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(build_message("first", message_id="1"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")
        queue.complete(lock.token)
        clock.advance(9 * MINUTE)

        queue.enqueue(build_message("second", message_id="1"))

        assert receive(queue) is None

    def test_after_the_window_the_id_is_new_again(
        self, queue: Queue, clock: ManualClock, journal: MemoryJournal
    ) -> None:
        queue.enqueue(build_message("first", message_id="1"))
        clock.advance(6 * MINUTE)
        queue.enqueue(build_message("duplicate", message_id="1"))
        clock.advance(6 * MINUTE)

        queue.enqueue(build_message("second", message_id="1"))

        assert list_texts(queue.peek(0, 10)) == ["first", "second"]
        assert journal.seen == {("jobs", "1"): clock.now()}

    def test_queue_without_duplicate_detection_keeps_every_message(
        self, clock: ManualClock, journal: MemoryJournal
    ) -> None:
        queue = Queue(build_settings(duplicate_detection_window=None), clock.now, journal)

        queue.enqueue(build_message("a", message_id="1"))
        queue.enqueue(build_message("b", message_id="1"))

        assert list_texts(queue.peek(0, 10)) == ["a", "b"]
        assert journal.seen == {}


class TestSchedule:
    def test_scheduled_message_enters_the_queue_at_its_time(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        number = queue.enqueue(build_message("later", scheduled_for=clock.now() + MINUTE))
        queue.enqueue(build_message("now"))
        assert queue.count_messages() == QueueCounts(active=1, scheduled=1)

        clock.advance(MINUTE)

        messages = queue.peek(0, 10)
        assert list_texts(messages) == ["now", "later"]
        assert messages[1].enqueued_sequence_number == number
        assert messages[1].enqueued_at == clock.now()

    def test_message_scheduled_for_the_past_is_received_at_once(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        number = queue.enqueue(build_message("a", scheduled_for=clock.now() - MINUTE))

        [message] = queue.peek(0, 10)

        assert message.sequence_number == number
        assert receive(queue) == "a"

    def test_a_cancelled_message_never_comes(self, queue: Queue, clock: ManualClock) -> None:
        number = queue.enqueue(build_message("a", scheduled_for=clock.now() + MINUTE))

        queue.cancel_scheduled(number)

        clock.advance(MINUTE)
        assert receive(queue) is None
        with pytest.raises(MessageNotFound):
            queue.cancel_scheduled(number)

    def test_a_message_that_is_not_scheduled_cannot_be_cancelled(self, queue: Queue) -> None:
        number = queue.enqueue(build_message("a"))

        with pytest.raises(MessageNotFound):
            queue.cancel_scheduled(number)

        assert receive(queue) == "a"

    def test_next_change_returns_the_earliest_change(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        """A server can sleep until the next change of any kind."""
        assert queue.find_next_change() is None
        queue.enqueue(build_message("later", scheduled_for=clock.now() + 5 * MINUTE))
        queue.enqueue(build_message("now"))

        queue.receive()

        assert queue.find_next_change() == clock.now() + MINUTE


class TestExpiry:
    def test_an_expired_message_is_dropped(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(build_message("a", time_to_live=MINUTE))

        clock.advance(MINUTE)

        assert receive(queue) is None
        assert queue.count_messages() == QueueCounts()

    def test_expired_message_is_dead_lettered_if_the_queue_requires_it(
        self, clock: ManualClock, journal: MemoryJournal
    ) -> None:
        queue = Queue(
            build_settings(default_time_to_live=MINUTE, dead_letters_expired_messages=True),
            clock.now,
            journal,
        )
        queue.enqueue(build_message("a", time_to_live=5 * MINUTE))

        clock.advance(MINUTE)

        assert queue.count_messages() == QueueCounts(dead_letter=1)

    def test_locked_message_expires_only_after_its_release(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(build_message("a", time_to_live=MINUTE / 2))
        _, lock = queue.receive() or pytest.fail("nothing to receive")
        clock.advance(MINUTE * 0.7)
        assert queue.count_messages().locked == 1

        queue.release(lock.token)

        assert queue.peek(0, 10) == []


class TestRestart:
    def test_restored_queue_continues_from_its_journal(
        self, queue: Queue, clock: ManualClock, journal: MemoryJournal
    ) -> None:
        queue.enqueue(build_message("failed", message_id="1"))
        _, lock = queue.receive() or pytest.fail("nothing to receive")
        queue.abandon(lock.token)
        queue.enqueue(build_message("later", scheduled_for=clock.now() + MINUTE))
        queue.receive()

        again = Queue(build_settings(), clock.now, journal)
        again.restore(
            [message for (name, _), message in journal.messages.items() if name == again.name],
            [(message_id, seen_at) for (_, message_id), seen_at in journal.seen.items()],
            journal.last_numbers[again.name],
        )

        again.enqueue(build_message("duplicate", message_id="1"))
        message, _ = again.receive() or pytest.fail("nothing to receive")
        assert (message.sent.payload, message.delivery_count) == (b"failed", 1)
        assert again.count_messages() == QueueCounts(locked=1, scheduled=1)
        assert again.enqueue(build_message("new")) == 4

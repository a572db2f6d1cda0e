"""Model a Service Bus queue without a network, with locks, delivery counts, schedules and expiry.

The model is synchronous. It gets the time from a clock, and reports every lasting change to a
journal. Locks are not stored: after a restart, every locked message can be received again, with its
earlier delivery count.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.duplicate_history import DuplicateHistory, HistoryJournal
from local_cloud.service_bus.queue_messages import (
    Amendment,
    DeadLettering,
    Lock,
    MessageLockLost,
    MessageNotFound,
    MessageState,
    QueueCounts,
    QueuedMessage,
    SentMessage,
)

Clock = Callable[[], datetime]


class Journal(HistoryJournal, Protocol):
    """Stores the changes of queues. A later commit makes them permanent."""

    def save(self, queue: str, message: QueuedMessage) -> None:
        """Store *message* in place of the one with the same sequence number."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Remove the message with this sequence number."""

    def save_last_number(self, queue: str, last_sequence_number: int) -> None:
        """Store the last assigned sequence number, so that no number is assigned twice."""


class Queue:
    """A queue, or the dead-letter queue of one."""

    def __init__(
        self,
        settings: QueueSettings,
        clock: Clock,
        journal: Journal,
        *,
        is_dead_letter_queue: bool = False,
    ) -> None:
        self.settings = settings
        self.name = settings.name.lower()
        self.dead_letters: Queue | None = None
        if not is_dead_letter_queue:
            dead = replace(settings, name=f"{settings.name}/$DeadLetterQueue")
            self.dead_letters = Queue(dead, clock, journal, is_dead_letter_queue=True)
        self._now = clock
        self._journal = journal
        self._history = DuplicateHistory(self.name, settings.duplicate_detection_window, journal)
        self._last_sequence_number = 0
        self._messages: dict[int, QueuedMessage] = {}
        self._locks: dict[UUID, Lock] = {}
        self._locked: set[int] = set()
        # Heaps. An entry whose message or lock is gone is stale and is skipped when it comes up.
        self._ready: list[int] = []
        self._schedule: list[tuple[datetime, int]] = []
        self._expiries: list[tuple[datetime, int]] = []
        self._lock_ends: list[tuple[datetime, UUID]] = []

    # --- sending

    def enqueue(self, sent: SentMessage) -> int:
        """Add a message and return its sequence number.

        As in Service Bus, a duplicate is dropped without an error, and the returned number belongs
        to no message.
        """
        now = self._now()
        number = self._assign_next_number()
        if self._history.check_and_record(sent.message_id, now):
            return number
        scheduled_for = sent.scheduled_for
        message = QueuedMessage(
            sequence_number=number,
            enqueued_sequence_number=number,
            sent=sent,
            enqueued_at=now,
            scheduled_for=scheduled_for if scheduled_for and scheduled_for > now else None,
        )
        if message.scheduled_for is None:
            message = replace(message, expires_at=self._compute_expiry(sent, now))
        self._journal.save(self.name, message)
        self._add_message(message)
        return number

    def cancel_scheduled(self, sequence_number: int) -> None:
        """Remove a scheduled message. Raises `MessageNotFound` if it is not scheduled."""
        self.advance()
        message = self._messages.get(sequence_number)
        if message is None or message.scheduled_for is None:
            raise MessageNotFound(f"no scheduled message has the number {sequence_number}")
        self._drop_message(sequence_number)

    # --- receiving and settling

    def receive(self) -> tuple[QueuedMessage, Lock] | None:
        message = self._take_message()
        return None if message is None else (message, self.lock(message))

    def receive_and_delete(self) -> QueuedMessage | None:
        message = self._take_message()
        if message is not None:
            self._drop_message(message.sequence_number)
        return message

    def receive_deferred(self, sequence_numbers: Sequence[int]) -> list[QueuedMessage]:
        """Return the deferred messages with these numbers.

        Then call `lock` or `delete` for each one. A deferred message expires only when it is
        requested. Raises `MessageNotFound` if a message is missing, not deferred, or locked.
        """
        self.advance()
        found = [self._messages.get(number) for number in sequence_numbers]
        for number, message in zip(sequence_numbers, found, strict=True):
            if message is not None and self._has_expired(message):
                self._expire_message(number)
                message = None
            if message is None or not message.is_deferred or number in self._locked:
                raise MessageNotFound(f"no deferred message has the number {number}")
        return [message for message in found if message is not None]

    def lock(self, message: QueuedMessage) -> Lock:
        """Lock a message that `receive_deferred` has returned."""
        lock = Lock(
            sequence_number=message.sequence_number,
            token=uuid4(),
            locked_until=self._now() + self.settings.lock_duration,
        )
        self._add_lock(lock)
        return lock

    def delete(self, message: QueuedMessage) -> None:
        """Remove a message that `receive_deferred` has returned."""
        self._drop_message(message.sequence_number)

    def renew_lock(self, token: UUID) -> datetime:
        """Renew the lock with this token and return its new end.

        Raises `MessageLockLost` if no message is locked with the token.
        """
        self.advance()
        lock = self._locks.get(token)
        if lock is None:
            raise MessageLockLost(f"no message is locked with {token}")
        renewed = replace(lock, locked_until=self._now() + self.settings.lock_duration)
        self._add_lock(renewed)
        return renewed.locked_until

    def complete(self, token: UUID) -> None:
        """Remove the message that is locked with this token.

        Raises `MessageLockLost` if no message is locked with the token.
        """
        self._drop_message(self._unlock_message(token))

    def abandon(self, token: UUID, amend: Amendment | None = None) -> None:
        """End the lock with this token, and count a failed delivery.

        After too many of them, the message is dead-lettered. Raises `MessageLockLost` if no message
        is locked with the token.
        """
        number = self._unlock_message(token)
        self._amend_message(number, amend)
        self._fail_delivery(number)

    def defer(self, token: UUID, amend: Amendment | None = None) -> None:
        """Set a locked message aside: only its sequence number can receive it.

        Raises `MessageLockLost` if no message is locked with the token.
        """
        number = self._unlock_message(token)
        self._amend_message(number, amend)
        self._save_message(replace(self._messages[number], is_deferred=True))

    def release(self, token: UUID) -> None:
        """End the lock with this token without counting a failed delivery.

        Raises `MessageLockLost` if no message is locked with the token.
        """
        self._make_available(self._unlock_message(token))

    def move_to_dead_letters(
        self, token: UUID, dead_lettering: DeadLettering, amend: Amendment | None = None
    ) -> None:
        """Move the locked message to the dead-letter queue.

        In a dead-letter queue, the message stays and gets the new reason. Raises `MessageLockLost`
        if no message is locked with the token.
        """
        number = self._unlock_message(token)
        self._amend_message(number, amend)
        self._move_to_dead_letters(number, dead_lettering)

    # --- looking

    def peek(self, from_sequence_number: int, count: int) -> list[QueuedMessage]:
        """Return up to *count* messages in order, including locked and scheduled ones."""
        self.advance()
        numbers = (number for number in self._messages if number >= from_sequence_number)
        return [self._messages[number] for number in heapq.nsmallest(count, numbers)]

    def count_messages(self) -> QueueCounts:
        self.advance()
        states = Counter(
            message.state
            for number, message in self._messages.items()
            if number not in self._locked
        )
        return QueueCounts(
            active=states[MessageState.ACTIVE],
            locked=len(self._locked),
            scheduled=states[MessageState.SCHEDULED],
            deferred=states[MessageState.DEFERRED],
            dead_letter=len(self.dead_letters._messages) if self.dead_letters else 0,
        )

    # --- time

    def advance(self) -> None:
        """Apply the effects of time: activate scheduled messages, end locks, expire messages."""
        now = self._now()
        for number in _list_due(self._schedule, now):
            self._activate_scheduled(number, now)
        for token in _list_due(self._lock_ends, now):
            lock = self._locks.get(token)
            if lock is not None and lock.locked_until <= now:
                self._remove_lock(lock)
                self._fail_delivery(lock.sequence_number)
        for number in _list_due(self._expiries, now):
            message = self._messages.get(number)
            if message is not None and not message.is_deferred and number not in self._locked:
                self._expire_message(number)

    def find_next_change(self) -> datetime | None:
        """Return when `advance` may next have an effect, or None."""
        heads = [heap[0][0] for heap in (self._schedule, self._lock_ends, self._expiries) if heap]
        return min(heads, default=None)

    # --- after a restart

    def restore(
        self,
        messages: Iterable[QueuedMessage],
        seen: Iterable[tuple[str, datetime]] = (),
        last_sequence_number: int = 0,
    ) -> None:
        self._last_sequence_number = last_sequence_number
        self._history.restore(seen)
        for message in messages:
            self._add_message(message)

    # --- inside

    def _assign_next_number(self) -> int:
        self._last_sequence_number += 1
        self._journal.save_last_number(self.name, self._last_sequence_number)
        return self._last_sequence_number

    def _add_message(self, message: QueuedMessage) -> None:
        number = message.sequence_number
        self._messages[number] = message
        if message.scheduled_for is not None:
            heapq.heappush(self._schedule, (message.scheduled_for, number))
            return
        if message.is_deferred:
            return
        if message.expires_at is not None:
            heapq.heappush(self._expiries, (message.expires_at, number))
        heapq.heappush(self._ready, number)

    def _activate_scheduled(self, number: int, now: datetime) -> None:
        """Make a scheduled message available as if sent now, with a new sequence number."""
        message = self._messages.get(number)
        if message is None:
            return
        self._drop_message(number)
        active = replace(
            message,
            sequence_number=self._assign_next_number(),
            enqueued_at=now,
            scheduled_for=None,
            expires_at=self._compute_expiry(message.sent, now),
        )
        self._journal.save(self.name, active)
        self._add_message(active)

    def _compute_expiry(self, sent: SentMessage, enqueued_at: datetime) -> datetime | None:
        limits = [sent.time_to_live, self.settings.default_time_to_live]
        shortest = min((limit for limit in limits if limit is not None), default=None)
        return None if shortest is None else enqueued_at + shortest

    def _take_message(self) -> QueuedMessage | None:
        self.advance()
        while self._ready:
            message = self._messages.get(heapq.heappop(self._ready))
            if message is not None:
                return message
        return None

    def _add_lock(self, lock: Lock) -> None:
        self._locks[lock.token] = lock
        self._locked.add(lock.sequence_number)
        heapq.heappush(self._lock_ends, (lock.locked_until, lock.token))

    def _unlock_message(self, token: UUID) -> int:
        self.advance()
        lock = self._locks.get(token)
        if lock is None:
            raise MessageLockLost(f"no message is locked with {token}")
        self._remove_lock(lock)
        return lock.sequence_number

    def _remove_lock(self, lock: Lock) -> None:
        del self._locks[lock.token]
        self._locked.discard(lock.sequence_number)

    def _fail_delivery(self, number: int) -> None:
        message = self._messages[number]
        failed = replace(message, delivery_count=message.delivery_count + 1)
        self._save_message(failed)
        limit = self.settings.max_delivery_count
        if self.dead_letters is not None and failed.delivery_count >= limit:
            reason = DeadLettering(
                reason="MaxDeliveryCountExceeded",
                description=f"Message could not be consumed after {limit} delivery attempts.",
            )
            self._move_to_dead_letters(number, reason)
        else:
            self._make_available(number)

    def _make_available(self, number: int) -> None:
        message = self._messages[number]
        if message.is_deferred:
            return
        if self._has_expired(message):
            self._expire_message(number)
        else:
            heapq.heappush(self._ready, number)

    def _has_expired(self, message: QueuedMessage) -> bool:
        return message.expires_at is not None and message.expires_at <= self._now()

    def _amend_message(self, number: int, amend: Amendment | None) -> None:
        if amend is not None:
            message = self._messages[number]
            sent = replace(message.sent, payload=amend(message.sent.payload))
            self._save_message(replace(message, sent=sent))

    def _save_message(self, message: QueuedMessage) -> None:
        self._messages[message.sequence_number] = message
        self._journal.save(self.name, message)

    def _expire_message(self, number: int) -> None:
        if self.settings.dead_letters_expired_messages:
            reason = DeadLettering(
                reason="TTLExpiredException",
                description="The message expired and was dead lettered.",
            )
            self._move_to_dead_letters(number, reason)
        else:
            self._drop_message(number)

    def _move_to_dead_letters(self, number: int, dead_lettering: DeadLettering) -> None:
        message = self._messages[number]
        self._drop_message(number)
        grave = self.dead_letters or self
        dead = replace(message, expires_at=None, is_deferred=False, dead_lettering=dead_lettering)
        self._journal.save(grave.name, dead)
        grave._add_message(dead)

    def _drop_message(self, number: int) -> None:
        del self._messages[number]
        self._journal.remove(self.name, number)


def _list_due[Item](heap: list[tuple[datetime, Item]], now: datetime) -> Iterator[Item]:
    while heap and heap[0][0] <= now:
        yield heapq.heappop(heap)[1]

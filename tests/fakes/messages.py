"""Fake of Service Bus: queues with locks, scheduled messages, duplicate detection and
redelivery.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from shared.errors import NotFound, PlatformError
from shared.ports import Clock, QueueMessage
from shared.queues import POISON
from shared.use_cases.run_daily_check import QUEUES
from tests.fakes.crash import was_killed

DUPLICATE_WINDOW = timedelta(minutes=10)
MOST_DELIVERIES = 10
#: Of the Standard tier, in bytes.
LARGEST_MESSAGE = 256 * 1024
_LONGEST_ID = 128
_MOST_COUNTED = 1000


@dataclass(slots=True, kw_only=True)
class Delivered:
    """A message as the queue delivers it to a handler."""

    queue: str
    message_id: str
    body: dict[str, object]
    properties: dict[str, str]
    due: datetime
    #: 1 at the first delivery.
    delivery_count: int = 0


class Delivery(StrEnum):
    """What happened to a message that was delivered to a handler."""

    NOTHING_DUE = "nothing due"
    COMPLETED = "completed"
    #: The handler did its work, but the broker did not hear of it: the message comes again.
    NOT_SETTLED = "not settled"
    #: The process died in the handler: the message comes again.
    KILLED = "killed"


type Handler = Callable[[Delivered], Awaitable[object]]


@dataclass(slots=True)
class _Queue:
    waiting: list[Delivered] = field(default_factory=list)
    dead: list[Delivered] = field(default_factory=list)
    seen: dict[str, datetime] = field(default_factory=dict)


class FakeMessages:
    """Implements `MessageSender`, and delivers the messages to the handlers of a test."""

    def __init__(self, clock: Clock, *, order: Random | None = None) -> None:
        """Deliver messages in the order of sending, or with `order` in a random order."""
        self._clock = clock
        self._order = order
        self._queues = {name: _Queue() for name in (*QUEUES, POISON)}
        #: Messages that were taken, duplicates not among them.
        self.sent = 0

    async def send(self, *messages: QueueMessage) -> None:
        bodies = [_encode_body(message) for message in messages]
        for message, body in zip(messages, bodies, strict=True):
            self._add_message(message, json.loads(body))

    async def require_sending_allowed(self, queue: str) -> None:
        self._get_queue(queue)

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        found = self._get_queue(queue)
        return min(len(found.dead if dead_letters else found.waiting), _MOST_COUNTED)

    # --- the other side ----------------------------------------------------------------------

    def list_waiting_messages(self, queue: str) -> list[Delivered]:
        """Return the messages in a queue, including scheduled ones."""
        return list(self._get_queue(queue).waiting)

    def list_dead_letters(self, queue: str) -> list[Delivered]:
        return list(self._get_queue(queue).dead)

    def lose_waiting_messages(self) -> None:
        """Remove all messages that are not dead letters, as if the broker had lost its data."""
        for queue in self._queues.values():
            queue.waiting.clear()

    def find_next_due(self, *queues: str) -> datetime | None:
        """Return when the next message is due in these queues, by default in all, or None if they
        are empty.
        """
        names = queues or tuple(self._queues)
        return min(
            (message.due for name in names for message in self._get_queue(name).waiting),
            default=None,
        )

    async def deliver_next(
        self, queue: str, handler: Handler, *, loses_settlement: bool = False
    ) -> Delivery:
        """Deliver one due message to the handler.

        If the handler raises an exception, the message returns to its queue.
        """
        message = self._pick_message(queue)
        if message is None:
            return Delivery.NOTHING_DUE
        found = self._get_queue(queue)
        found.waiting.remove(message)
        message.delivery_count += 1
        try:
            await handler(message)
        except BaseException as error:
            self._return_message(message)
            if was_killed(error):
                return Delivery.KILLED
            raise
        if loses_settlement:
            self._return_message(message)
            return Delivery.NOT_SETTLED
        return Delivery.COMPLETED

    def _pick_message(self, queue: str) -> Delivered | None:
        now = self._clock.now()
        due = [message for message in self._get_queue(queue).waiting if message.due <= now]
        if not due:
            return None
        return self._order.choice(due) if self._order else min(due, key=lambda one: one.due)

    def _return_message(self, message: Delivered) -> None:
        found = self._get_queue(message.queue)
        is_given_up = message.delivery_count >= MOST_DELIVERIES
        (found.dead if is_given_up else found.waiting).append(message)

    def _add_message(self, message: QueueMessage, body: dict[str, object]) -> None:
        now = self._clock.now()
        found = self._get_queue(message.queue)
        seen = found.seen.get(message.message_id)
        if seen is not None and now - seen < DUPLICATE_WINDOW:
            return
        found.seen[message.message_id] = now
        self.sent += 1
        found.waiting.append(
            Delivered(
                queue=message.queue,
                message_id=message.message_id,
                body=body,
                properties=dict(message.properties),
                due=max(message.due or now, now),
            )
        )

    def _get_queue(self, name: str) -> _Queue:
        if name not in self._queues:
            raise NotFound(f"there is no queue {name}")
        return self._queues[name]


def _encode_body(message: QueueMessage) -> str:
    """Return a message's body as JSON.

    Raises `PlatformError` if it is too large, and `ValueError` for an invalid message id.
    """
    if not 0 < len(message.message_id) <= _LONGEST_ID:
        raise ValueError(f"a message id has 1 to {_LONGEST_ID} characters")
    body = json.dumps(dict(message.body))
    if len(body.encode()) > LARGEST_MESSAGE:
        raise PlatformError("a message is too large", code="MessageSizeExceeded", status=413)
    return body

"""Define the messages of a queue, their states and locks. A payload has the sender's bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message as a client sent it, with the members that the broker has to know."""

    #: The encoded AMQP message, untouched.
    payload: bytes
    #: The application's MessageId; what duplicate detection compares.
    message_id: str | None = None
    #: How long the sender lets it live, once it can be received.
    time_to_live: timedelta | None = None
    #: Not to be received before this moment.
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettering:
    #: The property `DeadLetterReason`.
    reason: str | None
    #: The property `DeadLetterErrorDescription`.
    description: str | None


#: Changes the payload of a message as its receiver wants it changed.
Amendment = Callable[[bytes], bytes]


class MessageState(StrEnum):
    #: Also while it is locked.
    ACTIVE = "active"
    SCHEDULED = "scheduled"
    #: Set aside; handed out by its sequence number only.
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message with everything that a queue stores about it."""

    #: Unique in its queue and the dead-letter queue of that; gives the order of delivery.
    sequence_number: int
    #: The number that it had when it was sent; another one only if it was scheduled.
    enqueued_sequence_number: int
    #: What the sender sent.
    sent: SentMessage
    #: Since when it can be received; while it is scheduled, when it was sent.
    enqueued_at: datetime
    #: Until when it lives; None: for ever, or it is still scheduled.
    expires_at: datetime | None = None
    #: Until when it waits; None: it can be received.
    scheduled_for: datetime | None = None
    #: Deliveries that ended without success.
    delivery_count: int = 0
    #: Whether a receiver has set it aside.
    is_deferred: bool = False
    #: Set in a dead-letter queue.
    dead_lettering: DeadLettering | None = None

    @property
    def state(self) -> MessageState:
        """The state that a peek reports. A lock does not change it."""
        if self.scheduled_for is not None:
            return MessageState.SCHEDULED
        return MessageState.DEFERRED if self.is_deferred else MessageState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    #: The message that it is on.
    sequence_number: int
    #: What the receiver shows to settle or to renew.
    token: UUID
    #: The moment it is lost.
    locked_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    #: Ready to be received.
    active: int = 0
    #: In the hands of receivers.
    locked: int = 0
    #: Waiting for their time.
    scheduled: int = 0
    #: Set aside, and not in the hands of a receiver.
    deferred: int = 0
    #: In the dead-letter queue.
    dead_letter: int = 0


class MessageLockLost(LookupError):
    """No message is locked with this token: the lock expired, or the message was settled."""


class MessageNotFound(LookupError):
    """The queue has no such message with this sequence number."""

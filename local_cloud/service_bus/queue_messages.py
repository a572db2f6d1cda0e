"""The values that the queue model works with; the payload stays the bytes that were sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message as it arrives, with the few things that the broker itself must know of it."""

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
    """Why a message is in the dead-letter queue."""

    #: The property `DeadLetterReason`.
    reason: str | None
    #: The property `DeadLetterErrorDescription`.
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message with all that a queue keeps of it."""

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
    #: Set in a dead-letter queue.
    dead_lettering: DeadLettering | None = None


class MessageState(StrEnum):
    """Where a message stands, as a look without a lock (peek) reports it."""

    ACTIVE = "active"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The claim of one receiver on one message."""

    #: The message that it is on.
    sequence_number: int
    #: What the receiver shows to settle or to renew.
    token: UUID
    #: The moment it is lost.
    locked_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """How many messages a queue holds."""

    #: Ready to be received.
    active: int
    #: In the hands of receivers.
    locked: int
    #: Waiting for their time.
    scheduled: int
    #: In the dead-letter queue.
    dead_letter: int


class MessageLockLost(LookupError):
    """The lock on the message is gone: it expired, or the message was settled already."""


class MessageNotFound(LookupError):
    """The queue has no scheduled message of that sequence number."""

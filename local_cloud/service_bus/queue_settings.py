"""The settings of a queue."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The properties of a queue, as Azure names them."""

    #: As clients spell it; looked up without regard to case.
    name: str
    #: How long a received message belongs to its receiver.
    lock_duration: timedelta = timedelta(minutes=1)
    #: After this many failed deliveries a message goes to the dead-letter queue.
    max_delivery_count: int = 10
    #: How long a MessageId is remembered; None: duplicates are not looked for.
    duplicate_detection_window: timedelta | None = None
    #: The longest that a message lives; None: for ever.
    default_time_to_live: timedelta | None = None
    #: Whether a message that outlives its time goes to the dead-letter queue or is dropped.
    dead_letters_expired_messages: bool = False
    #: What the roles of every client allow.
    claims: frozenset[str] = frozenset({"Listen", "Send"})

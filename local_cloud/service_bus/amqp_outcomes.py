"""How a delivery of AMQP 1.0 ends, and the errors that say why (part 3, 3.4; part 2, 2.8.14)."""

from dataclasses import dataclass
from enum import IntEnum

from local_cloud.service_bus.amqp_types import (
    NULL,
    described_value,
    elements,
    encode_described,
    list_of,
    map_of,
    string,
    symbol,
)

_ERROR = 0x1D


class AmqpOutcomeCode(IntEnum):
    """How a delivery ended, under the code that describes it."""

    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpOutcome:
    """An outcome with its fields, which are still encoded."""

    code: AmqpOutcomeCode
    fields: tuple[bytes, ...] = ()

    def field(self, index: int) -> bytes:
        """Return a field; null if it was left out."""
        return self.fields[index] if index < len(self.fields) else NULL

    def encoded(self) -> bytes:
        """Return the delivery state that says so."""
        return encode_described(self.code, list_of(self.fields))


ACCEPTED = AmqpOutcome(code=AmqpOutcomeCode.ACCEPTED)


def build_rejected_outcome(condition: str, description: str) -> AmqpOutcome:
    """Return the outcome of what is refused, with why."""
    return AmqpOutcome(
        code=AmqpOutcomeCode.REJECTED, fields=(encode_error(condition, description),)
    )


def encode_error(condition: str, description: str) -> bytes:
    """Return an encoded error. The SDK reads all three fields of one, so none is left out."""
    info = map_of({symbol("com.microsoft:origin"): string("local")})
    return encode_described(_ERROR, list_of([symbol(condition), string(description), info]))


def read_outcome(state: bytes) -> AmqpOutcome | None:
    """Return the outcome that a delivery state is; None for null and for states under way.

    Raises `MalformedValue`.
    """
    if state == NULL:
        return None
    code, fields = described_value(state)
    if code not in set(AmqpOutcomeCode):
        return None
    return AmqpOutcome(code=AmqpOutcomeCode(code), fields=tuple(elements(fields)))

"""Build and parse the outcomes of AMQP 1.0 deliveries, and their errors.

The standard describes them in part 3, 3.4, and part 2, 2.8.14.
"""

from dataclasses import dataclass
from enum import IntEnum

from local_cloud.service_bus.amqp_types import (
    NULL,
    encode_described,
    encode_list,
    encode_map,
    encode_string,
    encode_symbol,
    split_described,
    split_elements,
)

_ERROR = 0x1D


class AmqpOutcomeCode(IntEnum):
    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpOutcome:
    """The outcome of a delivery, such as `accepted`. Its fields are encoded."""

    code: AmqpOutcomeCode
    fields: tuple[bytes, ...] = ()

    def get_field(self, index: int) -> bytes:
        """Return the encoded field at *index*, or an encoded null if it was omitted."""
        return self.fields[index] if index < len(self.fields) else NULL

    def encode(self) -> bytes:
        return encode_described(self.code, encode_list(self.fields))


ACCEPTED = AmqpOutcome(code=AmqpOutcomeCode.ACCEPTED)


def build_rejected_outcome(condition: str, description: str) -> AmqpOutcome:
    return AmqpOutcome(
        code=AmqpOutcomeCode.REJECTED, fields=(encode_error(condition, description),)
    )


def encode_error(condition: str, description: str) -> bytes:
    """Return an encoded error; it has all three fields, because the SDK reads them."""
    info = encode_map({encode_symbol("com.microsoft:origin"): encode_string("local")})
    return encode_described(
        _ERROR, encode_list([encode_symbol(condition), encode_string(description), info])
    )


def parse_outcome(state: bytes) -> AmqpOutcome | None:
    """Return the outcome in a delivery state, or None for null and for a state that is not final.

    Raises `MalformedValue`.
    """
    if state == NULL:
        return None
    code, fields = split_described(state)
    if code not in set(AmqpOutcomeCode):
        return None
    return AmqpOutcome(code=AmqpOutcomeCode(code), fields=tuple(split_elements(fields)))

"""Encode and decode the types of AMQP 1.0 that a broker needs (part 1, "Types").

A value that the broker only passes on stays encoded, so that its type and width are kept. Encoders
return bytes, because an encoded value is a part of the next one.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any
from uuid import UUID


class MalformedValue(ValueError):
    """The bytes are not an encoded value, or its type is not the expected one."""


class Symbol(str):
    """A text of the AMQP type *symbol*, which is encoded differently from a string."""

    __slots__ = ()


class Constructor(IntEnum):
    """The first byte of an encoded value, for the types that this service encodes."""

    DESCRIBED = 0x00
    NULL = 0x40
    TRUE = 0x41
    FALSE = 0x42
    UBYTE = 0x50
    ULONG_SMALL = 0x53
    USHORT = 0x60
    UINT = 0x70
    INT = 0x71
    ULONG = 0x80
    LONG = 0x81
    TIMESTAMP = 0x83
    UUID = 0x98


# What stands for itself, without a byte behind it.
_CONSTANTS: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0, 0x45: []}
# Numbers, by their constructor, as `struct` reads them.
_NUMBERS = {
    code: f">{format_}"
    for code, format_ in {
        **dict(zip(range(0x50, 0x57), "BbBBbb?", strict=True)),
        **dict(zip((0x60, 0x61, 0x70, 0x71, 0x72), "HhIif", strict=True)),
        **dict(zip((0x80, 0x81, 0x82, 0x83), "Qqdq", strict=True)),
    }.items()
}
# What else has no values inside, by its constructor. Decimals stay bytes: Python has no such type.
_PLAIN: dict[int, Callable[[bytes], Any]] = {
    **dict.fromkeys((0xA0, 0xB0, 0x74, 0x84, 0x94), bytes),
    **dict.fromkeys((0xA1, 0xB1), bytes.decode),
    **dict.fromkeys((0xA3, 0xB3), lambda inner: Symbol(inner.decode("ascii"))),
    0x73: lambda inner: inner.decode("utf-32-be"),
    0x98: lambda inner: UUID(bytes=inner),
}
# Bytes behind a constructor, by its upper half.
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
# Bytes of the size (and of the count, where there is one) behind a constructor, by its upper half.
_SIZE_WIDTHS = {0xA: 1, 0xB: 4, 0xC: 1, 0xD: 4, 0xE: 1, 0xF: 4}
_UNREADABLE = (IndexError, KeyError, TypeError, ValueError, RecursionError, struct.error)


# --- reading


def find_end(encoded: bytes, start: int = 0) -> int:
    """Return the position after the value that begins at *start*. Raises `MalformedValue`."""
    try:
        while encoded[start] == Constructor.DESCRIBED:
            if encoded[start + 1] == Constructor.DESCRIBED:
                raise MalformedValue("a descriptor cannot be described itself")
            start = find_end(encoded, start + 1)
        end = _find_end_of_content(encoded, start + 1, encoded[start])
    except (IndexError, KeyError) as error:
        raise MalformedValue(f"no value can be read at byte {start}") from error
    if end > len(encoded):
        raise MalformedValue(f"the value at byte {start} is cut off")
    return end


def decode(encoded: bytes) -> Any:
    """Return the value of *encoded*, which must have no further bytes. Raises `MalformedValue`.

    Strings become `str`, symbols `Symbol`, binaries `bytes`, and timestamps milliseconds since
    1970. A described value is the pair of its descriptor and its value. Decimals stay bytes.
    """
    if find_end(encoded) != len(encoded):
        raise MalformedValue("there is something behind the value")
    try:
        return _decode_value(encoded, 0)
    except _UNREADABLE as error:
        raise MalformedValue(f"a value cannot be decoded: {error!r}") from error


def split_elements(encoded: bytes) -> list[bytes]:
    """Return the encoded elements of a list, or the encoded keys and values of a map.

    Null is an empty list, as the standard says for fields. Raises `MalformedValue`.
    """
    try:
        constructor = encoded[0]
        if constructor in {0x40, 0x45}:
            return []
        if constructor not in {0xC0, 0xC1, 0xD0, 0xD1}:
            raise MalformedValue(f"0x{constructor:02x} is neither a list nor a map")
        width = _SIZE_WIDTHS[constructor >> 4]
        count = int.from_bytes(encoded[1 + width : 1 + 2 * width])
    except IndexError as error:
        raise MalformedValue("the value is empty") from error
    found: list[bytes] = []
    position = 1 + 2 * width
    for _ in range(count):
        end = find_end(encoded, position)
        found.append(encoded[position:end])
        position = end
    return found


def split_entries(encoded: bytes) -> dict[Any, bytes]:
    """Return the entries of a map: keys decoded, values encoded. Raises `MalformedValue`."""
    parts = split_elements(encoded)
    keys = [decode(key) for key in parts[::2]]
    try:
        return dict(zip(keys, parts[1::2], strict=True))
    except (TypeError, ValueError) as error:
        raise MalformedValue("not a map") from error


def split_described(encoded: bytes) -> tuple[int, bytes]:
    """Return the numeric descriptor of a described value, and the encoded value.

    Raises `MalformedValue`, also for symbolic descriptors, which no client of Service Bus sends.
    """
    if encoded[:1] != bytes([Constructor.DESCRIBED]):
        raise MalformedValue("the value is not described")
    end = find_end(encoded, 1)
    descriptor = decode(encoded[1:end])
    if not isinstance(descriptor, int):
        raise MalformedValue(f"the descriptor {descriptor!r} is not a number")
    return descriptor, encoded[end:]


def decode_text(encoded: bytes) -> str | None:
    """Return the text of a string or symbol, or None for null. Raises `MalformedValue`."""
    value = decode(encoded)
    if not isinstance(value, str | None):
        raise MalformedValue(f"{value!r} is not a text")
    return value


def decode_bytes(encoded: bytes) -> bytes:
    """Return the bytes of a binary, string or symbol. Raises `MalformedValue`."""
    width = _SIZE_WIDTHS.get(encoded[0] >> 4) if encoded else None
    if width is None or encoded[0] >> 4 not in {0xA, 0xB}:
        raise MalformedValue("the value holds no bytes")
    return encoded[1 + width :]


def _find_end_of_content(encoded: bytes, start: int, constructor: int) -> int:
    kind = constructor >> 4
    width = _SIZE_WIDTHS.get(kind)
    if width is None:
        return start + _FIXED_WIDTHS[kind]
    if start + width > len(encoded):
        raise IndexError
    return start + width + int.from_bytes(encoded[start : start + width])


def _decode_value(encoded: bytes, start: int) -> Any:
    constructor = encoded[start]
    if constructor == Constructor.DESCRIBED:
        end = find_end(encoded, start + 1)
        return _decode_value(encoded, start + 1), _decode_value(encoded, end)
    return _decode_content(encoded, start + 1, constructor)


def _decode_content(encoded: bytes, start: int, constructor: int) -> Any:
    if constructor in _CONSTANTS:
        return [] if constructor == 0x45 else _CONSTANTS[constructor]
    if constructor in _NUMBERS:
        return struct.unpack_from(_NUMBERS[constructor], encoded, start)[0]
    end = _find_end_of_content(encoded, start, constructor)
    if end > len(encoded):
        raise MalformedValue("the value is cut off")
    width = _SIZE_WIDTHS.get(constructor >> 4, 0)
    inner = encoded[start + width : end]
    if constructor in _PLAIN:
        return _PLAIN[constructor](inner)
    match constructor >> 4:
        case 0xC | 0xD:
            parts = _decode_sequence(inner, width)
            is_map = constructor & 1
            return dict(zip(parts[::2], parts[1::2], strict=True)) if is_map else parts
        case 0xE | 0xF:
            return _decode_array(inner, width)
    raise MalformedValue(f"0x{constructor:02x} is no constructor")


def _decode_sequence(inner: bytes, width: int) -> list[Any]:
    position = width
    values: list[Any] = []
    for _ in range(int.from_bytes(inner[:width])):
        values.append(_decode_value(inner, position))
        position = find_end(inner, position)
    return values


def _decode_array(inner: bytes, width: int) -> list[Any]:
    count = int.from_bytes(inner[:width])
    position, constructor = width + 1, inner[width]
    if count > len(inner) or constructor == Constructor.DESCRIBED:
        raise MalformedValue("arrays of nothing, or of described values, are not read here")
    values: list[Any] = []
    for _ in range(count):
        values.append(_decode_content(inner, position, constructor))
        position = _find_end_of_content(inner, position, constructor)
    return values


# --- writing

NULL = bytes([Constructor.NULL])


def encode_boolean(value: bool) -> bytes:
    return bytes([Constructor.TRUE if value else Constructor.FALSE])


def encode_number(constructor: Constructor, value: int) -> bytes:
    """Return *value* as a number of the type *constructor*.

    Raises `ValueError` if the value does not fit.
    """
    try:
        return bytes([constructor]) + struct.pack(_NUMBERS[constructor], value)
    except struct.error as error:
        raise ValueError(f"{value} is no {constructor.name.lower()}") from error


def encode_ubyte(value: int) -> bytes:
    """Return an encoded unsigned number of 8 bits."""
    return encode_number(Constructor.UBYTE, value)


def encode_ushort(value: int) -> bytes:
    """Return an encoded unsigned number of 16 bits."""
    return encode_number(Constructor.USHORT, value)


def encode_uint(value: int) -> bytes:
    """Return an encoded unsigned number of 32 bits."""
    return encode_number(Constructor.UINT, value)


def encode_int32(value: int) -> bytes:
    """Return an encoded signed number of 32 bits."""
    return encode_number(Constructor.INT, value)


def encode_long(value: int) -> bytes:
    """Return an encoded signed number of 64 bits."""
    return encode_number(Constructor.LONG, value)


def encode_timestamp(milliseconds: int) -> bytes:
    """Return an encoded time in milliseconds since 1970."""
    return encode_number(Constructor.TIMESTAMP, milliseconds)


def encode_uuid(value: UUID) -> bytes:
    return bytes([Constructor.UUID]) + value.bytes


def encode_binary(value: bytes) -> bytes:
    return _encode_with_size(0xA0, value)


def encode_string(value: str) -> bytes:
    return _encode_with_size(0xA1, value.encode())


def encode_symbol(value: str) -> bytes:
    """Return an encoded symbol; its characters must be ASCII."""
    return _encode_with_size(0xA3, value.encode("ascii"))


def encode_list(values: Sequence[bytes]) -> bytes:
    """Return an encoded list of encoded *values*."""
    return _encode_compound(0xC0, len(values), b"".join(values))


def encode_map(values: Mapping[bytes, bytes]) -> bytes:
    """Return an encoded map of encoded keys and values."""
    return _encode_compound(0xC1, 2 * len(values), b"".join(_flatten_bytes(values)))


def encode_array(values: Sequence[bytes], constructor: int) -> bytes:
    """Return an encoded array of encoded *values*, which all have this *constructor*."""
    if any(value[0] != constructor for value in values):
        raise ValueError(f"the values of an array all begin with 0x{constructor:02x}")
    inner = bytes([constructor]) + b"".join(value[1:] for value in values)
    return _encode_compound(0xE0, len(values), inner)


def encode_described(descriptor: int, encoded: bytes) -> bytes:
    """Return an encoded value behind a numeric descriptor below 256."""
    return bytes([Constructor.DESCRIBED, Constructor.ULONG_SMALL, descriptor]) + encoded


def _flatten_bytes(values: Mapping[bytes, bytes]) -> Iterable[bytes]:
    return (part for pair in values.items() for part in pair)


def _encode_with_size(small: int, value: bytes) -> bytes:
    if len(value) < 256:
        return bytes([small, len(value)]) + value
    return bytes([small + 0x10]) + struct.pack(">I", len(value)) + value


def _encode_compound(small: int, count: int, inner: bytes) -> bytes:
    # The size counts the count, too.
    if count < 256 and len(inner) + 1 < 256:
        return bytes([small, len(inner) + 1, count]) + inner
    return bytes([small + 0x10]) + struct.pack(">II", len(inner) + 4, count) + inner

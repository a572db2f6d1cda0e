from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from azure.servicebus._pyamqp._decode import _DECODE_BY_CONSTRUCTOR
from azure.servicebus._pyamqp._encode import encode_value
from azure.servicebus._pyamqp.types import TYPE, VALUE, AMQPTypes
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.service_bus import amqp_types
from local_cloud.service_bus.amqp_types import (
    Constructor,
    MalformedValue,
    Symbol,
    decode,
    decode_bytes,
    encode_array,
    encode_binary,
    encode_boolean,
    encode_described,
    encode_list,
    encode_map,
    encode_string,
    encode_symbol,
    encode_uuid,
    split_described,
    split_elements,
    split_entries,
)


def encode_with_microsofts_codec(kind: str | None, value: Any) -> bytes:
    output = bytearray()
    encode_value(output, {TYPE: kind, VALUE: value})
    return bytes(output)


def decode_with_microsofts_codec(encoded: bytes) -> Any:
    rest, value = _DECODE_BY_CONSTRUCTOR[encoded[0]](memoryview(encoded)[1:])
    assert not rest
    return value


signed = {bits: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
unsigned = {bits: st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)}
long_text = st.text(max_size=400)
names = st.text(st.characters(codec="ascii"), max_size=300)
WRITTEN_BY_THEM = {
    AMQPTypes.null: st.none(),
    AMQPTypes.boolean: st.booleans(),
    AMQPTypes.ubyte: unsigned[8],
    AMQPTypes.ushort: unsigned[16],
    AMQPTypes.uint: unsigned[32],
    AMQPTypes.ulong: unsigned[64],
    AMQPTypes.byte: signed[8],
    AMQPTypes.short: signed[16],
    AMQPTypes.int: signed[32],
    AMQPTypes.long: signed[64],
    AMQPTypes.double: st.floats(allow_nan=False),
    AMQPTypes.timestamp: signed[64],
    AMQPTypes.uuid: st.uuids(),
    AMQPTypes.binary: st.binary(max_size=400),
    AMQPTypes.string: long_text,
    AMQPTypes.symbol: names,
}


@pytest.mark.parametrize("kind", WRITTEN_BY_THEM)
@given(data=st.data())
def test_values_of_microsofts_codec_are_decoded(kind: str, data: st.DataObject) -> None:
    value = data.draw(WRITTEN_BY_THEM[kind])
    typed = {TYPE: kind, VALUE: value}

    assert decode(encode_with_microsofts_codec(kind, value)) == value
    assert decode(encode_with_microsofts_codec(AMQPTypes.list, [typed, typed])) == [value, value]
    assert decode(encode_with_microsofts_codec(AMQPTypes.map, {"k": typed})) == {"k": value}
    pair = ({TYPE: AMQPTypes.ulong, VALUE: 0x77}, typed)
    assert decode(encode_with_microsofts_codec(AMQPTypes.described, pair)) == (0x77, value)
    if kind not in {AMQPTypes.null, AMQPTypes.boolean}:  # which they write wrongly in arrays
        assert decode(encode_with_microsofts_codec(AMQPTypes.array, [typed, typed])) == [
            value,
            value,
        ]


WRITTEN_BY_US: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "boolean": (encode_boolean, st.booleans()),
    "ubyte": (amqp_types.encode_ubyte, unsigned[8]),
    "ushort": (amqp_types.encode_ushort, unsigned[16]),
    "uint": (amqp_types.encode_uint, unsigned[32]),
    "int32": (amqp_types.encode_int32, signed[32]),
    "long": (amqp_types.encode_long, signed[64]),
    "timestamp": (amqp_types.encode_timestamp, signed[64]),
    "uuid": (encode_uuid, st.uuids()),
    "binary": (encode_binary, st.binary(max_size=400)),
    "string": (encode_string, long_text),
    "symbol": (encode_symbol, names),
}


@pytest.mark.parametrize("kind", WRITTEN_BY_US)
@given(data=st.data())
def test_encoded_values_are_read_by_microsofts_codec(kind: str, data: st.DataObject) -> None:
    write, values = WRITTEN_BY_US[kind]
    given = data.draw(st.lists(values, min_size=1, max_size=100))
    meant = [value.encode() if isinstance(value, str) else value for value in given]
    encoded = [write(value) for value in given]

    assert decode_with_microsofts_codec(encoded[0]) == meant[0]
    assert decode_with_microsofts_codec(encode_list(encoded)) == meant
    assert decode_with_microsofts_codec(encode_map({encode_string("k"): encode_list(encoded)})) == {
        b"k": meant
    }
    same = [value for value in encoded if value[0] == encoded[0][0]]
    assert len(decode_with_microsofts_codec(encode_array(same, same[0][0]))) == len(same)


def test_symbols_and_binaries_keep_their_types() -> None:
    assert isinstance(decode(encode_symbol("x")), Symbol)
    assert not isinstance(decode(encode_string("x")), Symbol)
    assert decode(encode_binary(b"x")) == b"x"


def test_elements_keep_their_encoding() -> None:
    small, large = b"\x54\x05", b"\x71\x00\x00\x00\x05"

    assert split_elements(encode_list([small, large])) == [small, large]
    assert split_entries(encode_map({encode_string("a"): small, encode_string("b"): large})) == {
        "a": small,
        "b": large,
    }


def test_described_value_returns_its_descriptor_and_value() -> None:
    assert split_described(encode_described(0x24, encode_list([]))) == (0x24, encode_list([]))
    with pytest.raises(MalformedValue, match="amqp:accepted:list"):
        split_described(b"\x00" + encode_symbol("amqp:accepted:list") + b"\x45")


def test_decimals_and_characters_are_read_too() -> None:
    """.NET's client sends decimals and characters as properties."""
    assert decode(b"\x73\x00\x00\x00\xfc") == "ü"
    assert decode(b"\x94" + bytes(16)) == bytes(16)


def test_number_outside_its_type_is_rejected() -> None:
    with pytest.raises(ValueError, match="256 is no ubyte"):
        amqp_types.encode_ubyte(256)
    with pytest.raises(ValueError, match="0x70"):
        encode_array([amqp_types.encode_int32(1)], Constructor.UINT)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_only_malformed_errors(encoded: bytes) -> None:
    for read in (decode, split_elements, split_entries, split_described, decode_bytes):
        try:
            read(encoded)
        except MalformedValue:
            continue


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x00" * 5000,
        b"\x00\x53\x24" * 5000,
        b"\xd0\x00\x01\x00\x00\x00\x00\x00\x01" * 2000,
        b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
        b"\xd0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
    ],
    ids=["descriptors", "described", "nested", "array of nothing", "list of too many"],
)
def test_value_with_extreme_sizes_is_malformed(encoded: bytes) -> None:
    """A client cannot use up the broker's stack or memory."""
    with pytest.raises(MalformedValue):
        decode(encoded)


def test_timestamp_keeps_its_milliseconds() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert decode(encode_with_microsofts_codec(AMQPTypes.timestamp, at)) == at.timestamp() * 1000
    assert decode(encode_uuid(UUID(int=7))) == UUID(int=7)

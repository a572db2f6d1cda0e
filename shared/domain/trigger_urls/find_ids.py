"""Find ids of flows in large documents.

A pattern would test every character. This search tests every fourth one, until eight in a row may
belong to an id.
"""

import re
from collections.abc import Collection, Iterator

#: Lengths of a trigger URL id, and of a workflow id with its dashes.
ID_LENGTHS = (32, 36)
_STRIDE = 4
_IN_IDS = b"0123456789abcdefABCDEF-"
#: `1` for what an id consists of, `0` for other bytes.
_CLASSES = bytes(ord("1") if byte in _IN_IDS else ord("0") for byte in range(256))
_SAMPLE = b"1" * (ID_LENGTHS[0] // _STRIDE)
#: Periodic text, such as `0,1,0,1`, misleads the samples. The search then tests every byte.
_BYTES_PER_MISS = 4096
_RUN = re.compile(rb"[0-9A-Fa-f-]{32,}")
_PART = re.compile(rb"[0-9A-Fa-f-]*")
_DIGITS = re.compile(rb"[0-9a-f]{32,}")
_WITH_DASHES = re.compile(rb"(?=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))")


def find_known_ids(data: bytes, ids: Collection[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each known id, in order, also inside longer hex numbers.

    `data` is in UTF-8 or another encoding that contains ASCII. `ids` are 32 hex digits in lower
    case. In `data`, they may have the dashes of a GUID.
    """
    for start, end in _find_hex_sequences(data):
        run = data[start:end].lower()
        found = [
            (place, place + ID_LENGTHS[0])
            for digits in _DIGITS.finditer(run)
            for place in range(digits.start(), digits.end() - ID_LENGTHS[0] + 1)
            if run[place : place + ID_LENGTHS[0]] in ids
        ]
        found += [
            one.span(1) for one in _WITH_DASHES.finditer(run) if one[1].replace(b"-", b"") in ids
        ]
        yield from ((start + first, start + last) for first, last in sorted(found))


def find_possible_ids(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the last 32 digits of each hex number with at least 32 digits, in
    order.

    The id of a trigger URL is there: an escaped slash before it, `%2F`, ends in a digit.
    """
    for start, end in _find_hex_sequences(data):
        for digits in _DIGITS.finditer(data[start:end].lower()):
            yield start + digits.end() - ID_LENGTHS[0], start + digits.end()


def _find_hex_sequences(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each longest sequence of at least 32 hex digits and dashes."""
    samples = data[::_STRIDE].translate(_CLASSES)
    misses_left = 1 + len(data) // _BYTES_PER_MISS
    position = end = 0
    while misses_left and (sample := samples.find(_SAMPLE, position)) >= 0:
        place = sample * _STRIDE
        for start in range(max(end, place - _STRIDE + 1), place + 1):
            if run := _RUN.match(data, start):
                end = run.end()
                yield start, end
                break
        else:
            misses_left -= 1
            part = _PART.match(data, place)
            end = part.end() if part else place
        position = -(-end // _STRIDE) if end > place else sample + 1
    if not misses_left:
        yield from (run.span() for run in _RUN.finditer(data, end))

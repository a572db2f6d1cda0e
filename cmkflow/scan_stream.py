"""Find references to flows in a file of any size and encoding, with a limited amount of memory."""

import codecs
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO

from shared.domain.callers.scan_document import (
    BYTES_AFTER,
    BYTES_BEFORE,
    ScannedReference,
    scan_document_part,
)

#: Bytes that are read at once.
_AT_ONCE = 512 * 1024
#: Bytes at the beginning that show the encoding.
_SAMPLE = 8_192
#: Those of UTF-32 first, because they begin with those of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PDF = b"%PDF-"
#: Bytes of a UTF-8 character after its first.
_MOST_CONTINUED = 3


class BinaryFile(Exception):
    """A file is not a text, so it is not searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedReference:
    """A trigger URL or flow id in a file, with its offset and line."""

    #: Bytes before it.
    offset: int
    #: From 1.
    line: int
    reference: ScannedReference


def scan_stream(stream: IO[bytes], ids: Collection[bytes] | None) -> Iterator[LocatedReference]:
    """Yield the trigger URLs and flow ids in a file, in order.

    `ids` limits the search to some flows, as in `scan_document_part`. Reads UTF-8, UTF-16, UTF-32
    and encodings that contain ASCII. Raises `BinaryFile`, and the errors of the stream.
    """
    chunk = stream.read(_AT_ONCE)
    encoding = _detect_encoding(chunk[:_SAMPLE])
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    position = _Position(encoding)
    data, start = b"", 0
    while True:
        is_last = len(chunk) < _AT_ONCE
        data += decoder.decode(chunk, is_last).encode() if decoder else chunk
        end = len(data) if is_last else _find_character_boundary(data, len(data) - BYTES_AFTER)
        for found in scan_document_part(data, ids, start=start, end=end):
            position.move_to(data, found.start)
            yield LocatedReference(offset=position.offset, line=position.line, reference=found)
        if is_last:
            return
        position.move_to(data, end)
        cut = max(0, end - BYTES_BEFORE)
        data, start = data[cut:], end - cut
        position.place = start
        chunk = stream.read(_AT_ONCE)


@dataclass(slots=True)
class _Position:
    encoding: str | None
    place: int = 0
    offset: int = 0
    line: int = 1

    def move_to(self, data: bytes, place: int) -> None:
        first, last = sorted((self.place, place))
        direction = 1 if place >= self.place else -1
        self.offset += direction * self._measure_bytes(data, first, last)
        self.line += direction * data.count(b"\n", first, last)
        self.place = place

    def _measure_bytes(self, data: bytes, first: int, last: int) -> int:
        if self.encoding is None:
            return last - first
        return len(data[first:last].decode().encode(self.encoding))


def _detect_encoding(sample: bytes) -> str | None:
    """Return the name of UTF-16 or UTF-32, or None for a text in an encoding that contains ASCII.
    Raises `BinaryFile` if the sample is not from a text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return encoding
    if sample.startswith(_PDF):
        raise BinaryFile
    if b"\0" not in sample:
        return None
    # UTF-16 without a mark has a zero in most characters, at one end of them.
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        in_place, elsewhere = sample[first::2], sample[1 - first :: 2]
        if in_place.count(0) * 2 > len(in_place) and not elsewhere.count(0):
            return encoding
    raise BinaryFile


def _find_character_boundary(data: bytes, end: int) -> int:
    for start in range(end, end - _MOST_CONTINUED - 1, -1):
        if data[start] & 0xC0 != 0x80:
            return start
    return end

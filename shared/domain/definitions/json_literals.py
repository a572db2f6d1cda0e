"""Find string literals in JSON source, with the offset of every character.

The offsets allow the app to change a text in place. Decoding and encoding the document would change
other bytes: whitespace, `\\u0026`, or the format of numbers.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LITERAL = re.compile(r'"(?P<body>[^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_COLON = re.compile(r"\s*:\s*")
_PIECE = re.compile(r"\\u[0-9A-Fa-f]{4}|\\.|[^\\]+", re.DOTALL)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonString:
    """A string value in JSON source, with its place there."""

    #: The name of its member; None for an item of a list.
    key: str | None
    value: str
    _start: int
    #: The source offset of each character of the value and of the end; None: the value has no
    #: escapes.
    _offsets: tuple[int, ...] | None = field(repr=False)
    #: How this literal escapes each character that is not alphanumeric.
    _spelling: dict[str, str] = field(repr=False)

    def find_source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` to `end` of the value are in the source."""
        if self._offsets is None:
            return self._start + start, self._start + end
        return self._offsets[start], self._offsets[end]

    def encode(self, text: str) -> str:
        """Return new text with the escapes that this literal uses."""
        return "".join(self._spelling.get(c) or json.dumps(c)[1:-1] for c in text)


def list_json_strings_around(source: str, wanted: re.Pattern[str]) -> Iterator[JsonString]:
    """Yield, in order, the string values that contain a match of `wanted`, or whose key contains
    one.

    Parses only the literals around matches. `source` has to be JSON, so that every match is inside
    a literal. The yielded `key` is set only if it contains a match.
    """
    position = 0
    while found := wanted.search(source, position):
        literal = _LITERAL.match(source, _find_literal_start(source, found.start()))
        if literal is None:
            return
        position = max(literal.end(), found.end())
        colon = _COLON.match(source, literal.end())
        if colon is None:
            yield _parse_literal(literal, None)
        elif value := _LITERAL.match(source, colon.end()):
            position = value.end()
            yield _parse_literal(value, _parse_literal(literal, None).value)


def _find_literal_start(source: str, inside: int) -> int:
    """Return where the literal around an offset starts: at the last quote that is not escaped."""
    while (quote := source.rfind('"', 0, inside)) > 0:
        escape = quote
        while source[escape - 1] == "\\":
            escape -= 1
        if (quote - escape) % 2 == 0:
            return quote
        inside = quote
    return max(quote, 0)


def list_json_strings(source: str) -> Iterator[JsonString]:
    """Yield every string value in order. Keys of members are not values."""
    key: str | None = None
    key_end = -1
    for literal in _LITERAL.finditer(source):
        colon = _COLON.match(source, literal.end())
        string = _parse_literal(literal, key if literal.start() == key_end else None)
        if colon:
            key, key_end = string.value, colon.end()
        else:
            yield string


def _parse_literal(literal: re.Match[str], key: str | None) -> JsonString:
    body, start = literal["body"], literal.start("body")
    if "\\" not in body:
        return JsonString(key=key, value=body, _start=start, _offsets=None, _spelling={})
    value: list[str] = []
    offsets: list[int] = []
    spelling: dict[str, str] = {}
    for piece in _PIECE.finditer(body):
        raw, at = piece[0], start + piece.start()
        if raw[0] != "\\":
            value.append(raw)
            offsets.extend(range(at, at + len(raw)))
            continue
        # A surrogate pair stays two characters with one offset each; it is never encoded again.
        character = (
            chr(int(raw[2:], 16)) if len(raw) == len("\\u0026") else _SHORT.get(raw[1], raw[1])
        )
        value.append(character)
        offsets.append(at)
        if not character.isalnum():
            spelling.setdefault(character, raw)
    offsets.append(start + len(body))
    return JsonString(
        key=key, value="".join(value), _start=start, _offsets=tuple(offsets), _spelling=spelling
    )

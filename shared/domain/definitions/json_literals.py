"""String literals of JSON source with the place of every character in them.

Decoding and encoding a document again would change bytes that nobody asked to change: its
whitespace, its `\\u0026`, the spelling of its numbers.
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
    """One string that is a value."""

    #: the name of the member it is the value of, None for an item of a list
    key: str | None
    value: str
    _start: int
    #: for each character of the value its offset in the source, and one for the end; None: 1 to 1
    _offsets: tuple[int, ...] | None = field(repr=False)
    #: how this literal spells the separators that it escapes
    _spelling: dict[str, str] = field(repr=False)

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the value stands in the source."""
        if self._offsets is None:
            return self._start + start, self._start + end
        return self._offsets[start], self._offsets[end]

    def encode(self, text: str) -> str:
        """Return new text as this literal would spell it."""
        return "".join(self._spelling.get(c) or json.dumps(c)[1:-1] for c in text)


def json_strings_around(source: str, wanted: re.Pattern[str]) -> Iterator[JsonString]:
    """Yield in order the string values that `wanted` is in, and those whose key it is in.

    Looks at the literals around matches instead of at all of them. `source` has to be JSON: there
    every match is inside a literal. A value's `key` is given only where `wanted` is in it.
    """
    position = 0
    while found := wanted.search(source, position):
        literal = _LITERAL.match(source, _opening(source, found.start()))
        if literal is None:
            return
        position = max(literal.end(), found.end())
        colon = _COLON.match(source, literal.end())
        if colon is None:
            yield _string(literal, None)
        elif value := _LITERAL.match(source, colon.end()):
            position = value.end()
            yield _string(value, _string(literal, None).value)


def _opening(source: str, inside: int) -> int:
    """Return where the literal begins that a place is in: at a quote that nothing escapes."""
    while (quote := source.rfind('"', 0, inside)) > 0:
        escape = quote
        while source[escape - 1] == "\\":
            escape -= 1
        if (quote - escape) % 2 == 0:
            return quote
        inside = quote
    return max(quote, 0)


def json_strings(source: str) -> Iterator[JsonString]:
    """Yield every string value in order, keys left out."""
    key: str | None = None
    key_end = -1
    for literal in _LITERAL.finditer(source):
        colon = _COLON.match(source, literal.end())
        string = _string(literal, key if literal.start() == key_end else None)
        if colon:
            key, key_end = string.value, colon.end()
        else:
            yield string


def _string(literal: re.Match[str], key: str | None) -> JsonString:
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
        # A surrogate pair stays two characters: one offset each, and nobody encodes it again.
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

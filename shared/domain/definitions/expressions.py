"""Finds what a definition's expressions read: `body('List')?['value']`, `triggerBody()['text']`.

Only as much of the expression language as it takes to say surely what is read. What is dynamic is
said to be dynamic, so that whoever asks can keep its hands off.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_$][\w$]*)|(?P<number>\d+)|(?P<mark>\S)"
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
#: Functions that give one member of a list.
_ONE_OF_LIST = frozenset({"first", "last"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSegment:
    """One step of a path behind a function."""

    #: a member's name; None: an index, or something that only a run knows
    name: str | None
    is_index: bool = False
    #: where the name stands in the text, without its quotes
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionReference:
    """A function with what is read from its result."""

    #: in lower case: the language does not tell case apart
    function: str
    #: the one literal argument, empty for none; None: something that only a run knows
    argument: str | None
    keys: tuple[PathSegment, ...]
    #: the function that takes nothing but this, in lower case; empty: there is none
    inside: str
    start: int
    end: int
    #: as it is written, its path included
    text: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def references_in(text: str) -> Iterator[ExpressionReference]:
    """Yield every function call in the expressions of a text; literal text is passed over."""
    for start, end in _expressions(text):
        tokens = _tokens(text, start, end)
        for place, token in enumerate(tokens):
            if token.kind == "name" and _mark(tokens, place + 1) == "(":
                yield _reference(text, tokens, place)


def whole_reference(value: object) -> ExpressionReference | None:
    """Return the reference that a value is, with nothing around it; None for any other value."""
    if not isinstance(value, str) or not value.startswith("@"):
        return None
    found = next(references_in(value), None)
    return found if found and (found.start, found.end) == (1, len(value.rstrip())) else None


def _expressions(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the expressions of a text: all of it behind `@`, or each `@{…}`."""
    if text.startswith("@") and text[1:2] not in {"{", "@"}:
        yield 1, len(text)
        return
    position = 0
    while (position := text.find("@{", position)) >= 0:
        if position and text[position - 1] == "@":  # `@@{` stands for `@{`
            position += 2
            continue
        end = _end(text, position + 2)
        yield position + 2, end
        position = end


def _end(text: str, start: int) -> int:
    depth = 0
    for found in _TOKEN.finditer(text, start):
        if found["mark"] == "{":
            depth += 1
        elif found["mark"] == "}":
            if depth == 0:
                return found.start()
            depth -= 1
    return len(text)


def _tokens(text: str, start: int, end: int) -> list[_Token]:
    return [
        _Token(found.lastgroup or "", found[0], found.start(), found.end())
        for found in _TOKEN.finditer(text, start, end)
    ]


def _reference(text: str, tokens: Sequence[_Token], place: int) -> ExpressionReference:
    """Read the call that begins at `place`, and the path behind it."""
    name, closing = tokens[place], _closing(tokens, place + 1)
    arguments = tokens[place + 2 : closing]
    keys, end = _path(tokens, closing + 1)
    first, inside = place, _wrapper(tokens, place, end)
    while inside in _ONE_OF_LIST:
        first -= 2
        more, end = _path(tokens, end + 1)
        keys += (PathSegment(name=None, is_index=True), *more)
        inside = _wrapper(tokens, first, end)
    start, stop = tokens[first].start, tokens[min(end, len(tokens)) - 1].end
    return ExpressionReference(
        function=name.text.lower(),
        argument=_argument(arguments),
        keys=keys,
        inside=inside,
        start=start,
        end=stop,
        text=text[start:stop],
    )


def _argument(tokens: Sequence[_Token]) -> str | None:
    if not tokens:
        return ""
    if len(tokens) == 1 and tokens[0].kind == "string":
        return _unquoted(tokens[0])
    return None


def _path(tokens: Sequence[_Token], place: int) -> tuple[tuple[PathSegment, ...], int]:
    """Return the keys that begin at `place`, and where they end."""
    keys: list[PathSegment] = []
    while True:
        step = place + 1 if _mark(tokens, place) == "?" else place
        if _mark(tokens, step) == ".":
            step += 1
            if step == len(tokens) or tokens[step].kind != "name":
                return tuple(keys), place
            keys.append(_key(tokens[step : step + 1]))
            place = step + 1
        elif _mark(tokens, step) == "[":
            closing = _closing(tokens, step)
            keys.append(_key(tokens[step + 1 : closing]))
            place = closing + 1
        else:
            return tuple(keys), place


def _key(tokens: Sequence[_Token]) -> PathSegment:
    if len(tokens) != 1:
        return PathSegment(name=None)
    (token,) = tokens
    if token.kind == "string":
        return PathSegment(name=_unquoted(token), start=token.start + 1, end=token.end - 1)
    if token.kind == "name":
        return PathSegment(name=token.text, start=token.start, end=token.end)
    return PathSegment(name=None, is_index=token.kind == "number")


def _closing(tokens: Sequence[_Token], place: int) -> int:
    """Return the place of the bracket that closes the one at `place`, the end if none does."""
    depth = 0
    for number in range(place, len(tokens)):
        if tokens[number].kind == "mark":
            depth += tokens[number].text in _OPENING
            depth -= tokens[number].text in _CLOSING
            if depth == 0:
                return number
    return len(tokens)


def _wrapper(tokens: Sequence[_Token], first: int, end: int) -> str:
    """Return the function that has the tokens from `first` up to `end` as its only argument."""
    if first < 2 or _mark(tokens, first - 1) != "(" or _mark(tokens, end) != ")":
        return ""
    before = tokens[first - 2]
    return before.text.lower() if before.kind == "name" else ""


def _mark(tokens: Sequence[_Token], place: int) -> str:
    found = 0 <= place < len(tokens) and tokens[place].kind == "mark"
    return tokens[place].text if found else ""


def _unquoted(token: _Token) -> str:
    return token.text[1:-1].replace("''", "'")

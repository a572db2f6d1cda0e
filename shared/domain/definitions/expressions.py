"""Find what a definition's expressions read, such as `body('List')?['value']`.

Parses only as much of the expression language as this needs. Parts that are only known in a run are
marked, so that no conversion changes them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_$][\w$]*)|(?P<number>\d+)|(?P<mark>\S)"
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
#: Functions that return one item of a list.
_ONE_OF_LIST = frozenset({"first", "last"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSegment:
    """A segment of the path after a function call, such as `['value']`."""

    #: A member's name; None: an index, or a name that only a run knows.
    name: str | None
    is_index: bool = False
    #: Where the name is in the text, without quotes.
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionReference:
    """A function call in an expression, and the path that is read from its result."""

    #: In lower case, because function names are case-insensitive.
    function: str
    #: The only literal argument, empty if there is none; None: an argument that only a run knows.
    argument: str | None
    keys: tuple[PathSegment, ...]
    #: The function whose only argument this is, in lower case; empty: none.
    inside: str
    start: int
    end: int
    #: The source text, including the path.
    text: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def find_function_calls(text: str) -> Iterator[ExpressionReference]:
    """Yield every function call in the expressions of a text."""
    for start, end in _find_expression_spans(text):
        tokens = _tokenize(text, start, end)
        for place, token in enumerate(tokens):
            if token.kind == "name" and _get_mark_at(tokens, place + 1) == "(":
                yield _parse_call(text, tokens, place)


def find_whole_reference(value: object) -> ExpressionReference | None:
    """Return the function call if the value consists of exactly one, else None."""
    if not isinstance(value, str) or not value.startswith("@"):
        return None
    found = next(find_function_calls(value), None)
    return found if found and (found.start, found.end) == (1, len(value.rstrip())) else None


def _find_expression_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each expression in a text.

    An expression is everything after a leading `@`, or what is inside `@{…}`.
    """
    if text.startswith("@") and text[1:2] not in {"{", "@"}:
        yield 1, len(text)
        return
    position = 0
    while (position := text.find("@{", position)) >= 0:
        if position and text[position - 1] == "@":  # `@@{` is an escaped `@{`
            position += 2
            continue
        end = _find_expression_end(text, position + 2)
        yield position + 2, end
        position = end


def _find_expression_end(text: str, start: int) -> int:
    depth = 0
    for found in _TOKEN.finditer(text, start):
        if found["mark"] == "{":
            depth += 1
        elif found["mark"] == "}":
            if depth == 0:
                return found.start()
            depth -= 1
    return len(text)


def _tokenize(text: str, start: int, end: int) -> list[_Token]:
    return [
        _Token(found.lastgroup or "", found[0], found.start(), found.end())
        for found in _TOKEN.finditer(text, start, end)
    ]


def _parse_call(text: str, tokens: Sequence[_Token], place: int) -> ExpressionReference:
    name, closing = tokens[place], _find_closing_index(tokens, place + 1)
    arguments = tokens[place + 2 : closing]
    keys, end = _parse_path(tokens, closing + 1)
    first, inside = place, _find_wrapping_function(tokens, place, end)
    while inside in _ONE_OF_LIST:
        first -= 2
        more, end = _parse_path(tokens, end + 1)
        keys += (PathSegment(name=None, is_index=True), *more)
        inside = _find_wrapping_function(tokens, first, end)
    start, stop = tokens[first].start, tokens[min(end, len(tokens)) - 1].end
    return ExpressionReference(
        function=name.text.lower(),
        argument=_find_literal_argument(arguments),
        keys=keys,
        inside=inside,
        start=start,
        end=stop,
        text=text[start:stop],
    )


def _find_literal_argument(tokens: Sequence[_Token]) -> str | None:
    if not tokens:
        return ""
    if len(tokens) == 1 and tokens[0].kind == "string":
        return _unquote(tokens[0])
    return None


def _parse_path(tokens: Sequence[_Token], place: int) -> tuple[tuple[PathSegment, ...], int]:
    """Parse the path that starts at `place`. Returns its segments and the place after it."""
    keys: list[PathSegment] = []
    while True:
        step = place + 1 if _get_mark_at(tokens, place) == "?" else place
        if _get_mark_at(tokens, step) == ".":
            step += 1
            if step == len(tokens) or tokens[step].kind != "name":
                return tuple(keys), place
            keys.append(_parse_segment(tokens[step : step + 1]))
            place = step + 1
        elif _get_mark_at(tokens, step) == "[":
            closing = _find_closing_index(tokens, step)
            keys.append(_parse_segment(tokens[step + 1 : closing]))
            place = closing + 1
        else:
            return tuple(keys), place


def _parse_segment(tokens: Sequence[_Token]) -> PathSegment:
    if len(tokens) != 1:
        return PathSegment(name=None)
    (token,) = tokens
    if token.kind == "string":
        return PathSegment(name=_unquote(token), start=token.start + 1, end=token.end - 1)
    if token.kind == "name":
        return PathSegment(name=token.text, start=token.start, end=token.end)
    return PathSegment(name=None, is_index=token.kind == "number")


def _find_closing_index(tokens: Sequence[_Token], place: int) -> int:
    """Return the index of the bracket that closes the one at `place`, or the end if none does."""
    depth = 0
    for number in range(place, len(tokens)):
        if tokens[number].kind == "mark":
            depth += tokens[number].text in _OPENING
            depth -= tokens[number].text in _CLOSING
            if depth == 0:
                return number
    return len(tokens)


def _find_wrapping_function(tokens: Sequence[_Token], first: int, end: int) -> str:
    """Return the function whose only argument is the tokens from `first` to `end`, or ""."""
    if first < 2 or _get_mark_at(tokens, first - 1) != "(" or _get_mark_at(tokens, end) != ")":
        return ""
    before = tokens[first - 2]
    return before.text.lower() if before.kind == "name" else ""


def _get_mark_at(tokens: Sequence[_Token], place: int) -> str:
    found = 0 <= place < len(tokens) and tokens[place].kind == "mark"
    return tokens[place].text if found else ""


def _unquote(token: _Token) -> str:
    return token.text[1:-1].replace("''", "'")

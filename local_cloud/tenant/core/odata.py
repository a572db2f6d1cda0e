"""Parse the part of OData that clients of Dataverse and of lists of runs use.

Filters have the operators `eq ne gt ge lt le` and `and or not`, parentheses, the functions
`contains startswith endswith`, and literals (text, number, true/false, null, GUID, date). Other
syntax is rejected.
"""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from local_cloud.tenant.core.platform_error import InvalidQueryError, SimulatedPlatformError

type Row = Mapping[str, Any]
type Predicate = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),])|(?P<word>[^\s(),']+))",
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_ORDER = re.compile(r"\s*(?P<name>\w+)(\s+(?P<way>asc|desc))?\s*")
_EXPANSION = re.compile(r"\s*(?P<name>\w+)(\(\$select=(?P<select>[\w,\s]+)\))?\s*(,|$)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda value, part: part in value,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def parse_filter(text: str) -> Predicate:
    """Return a function that tells whether a row matches. Rejects (400) unsupported syntax."""
    parser = _Parser(text)
    predicate = parser.parse_alternatives()
    parser.require_end()
    return predicate


def select_properties(row: Row, names: str | None, *, keeps: Collection[str]) -> dict[str, Any]:
    """Return the properties of a row that `$select` names, its key and its annotations.

    Without `$select`, all are returned.
    """
    if not names:
        return dict(row)
    wanted = {name.strip() for name in names.split(",")}
    for name in wanted:
        get_value(row, name)
    return {key: row[key] for key in row if key in wanted or key in keeps or "@" in key}


def select_paths(body: Row, paths: str | None) -> dict[str, Any]:
    """Return the members of a document that `$select` names by their paths.

    Id, name, type and location are always returned; without `$select`, all members are.
    """
    if not paths:
        return dict(body)
    chosen = {name: body[name] for name in ("id", "name", "type", "location") if name in body}
    for path in paths.split(","):
        *parents, last = path.strip().split(".")
        source, target = body, chosen
        for name in parents:
            source, target = get_value(source, name), target.setdefault(name, {})
        target[last] = get_value(source, last)
    return chosen


def get_value(row: Row, name: str) -> Any:
    if name not in row:
        raise build_query_error(f"Could not find a property named '{name}'.")
    return row[name]


def parse_order(clause: str) -> tuple[Callable[[Row], Any], bool]:
    """Parse an `$orderby` with one property.

    Return the sort key of rows, and whether it is descending.
    """
    match = _ORDER.fullmatch(clause)
    if match is None:
        raise build_query_error(f"Syntax error in '{clause}'.")
    name = match["name"]
    return (lambda row: (get_value(row, name) is not None, row[name])), match["way"] == "desc"


def parse_expansions(clause: str) -> dict[str, str | None]:
    """Return the `$select` of each navigation property in `$expand`, or None for all properties."""
    asked: dict[str, str | None] = {}
    rest = clause
    while rest:
        match = _EXPANSION.match(rest)
        if match is None:
            raise build_query_error(f"Syntax error in '{clause}'.")
        asked[match["name"]] = match["select"]
        rest = rest[match.end() :]
    return asked


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split_tokens(text)
        self._at = 0

    def _split_tokens(self, text: str) -> list[str]:
        tokens, place = [], 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise build_query_error(f"Syntax error in '{self._text}'.")
            tokens.append(match.group().strip())
            place = match.end()
        return tokens

    def _take_next(self) -> str:
        if self._at >= len(self._tokens):
            raise build_query_error(f"Syntax error at the end of '{self._text}'.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take_token(self, *tokens: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in tokens:
            self._at += 1
            return True
        return False

    def _expect_token(self, token: str) -> None:
        if not self._take_token(token):
            raise build_query_error(f"'{token}' expected in '{self._text}'.")

    def require_end(self) -> None:
        if self._at < len(self._tokens):
            raise build_query_error(
                f"Syntax error at '{self._tokens[self._at]}' in '{self._text}'."
            )

    def parse_alternatives(self) -> Predicate:
        """Parse terms that `or` joins."""
        terms = [self._parse_terms()]
        while self._take_token("or"):
            terms.append(self._parse_terms())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _parse_terms(self) -> Predicate:
        factors = [self._parse_factor()]
        while self._take_token("and"):
            factors.append(self._parse_factor())
        if len(factors) == 1:
            return factors[0]
        return lambda row: all(factor(row) for factor in factors)

    def _parse_factor(self) -> Predicate:
        if self._take_token("not"):
            inner = self._parse_factor()
            return lambda row: not inner(row)
        if self._take_token("("):
            grouped = self.parse_alternatives()
            self._expect_token(")")
            return grouped
        name = self._take_next()
        return self._parse_function(name) if self._take_token("(") else self._parse_comparison(name)

    def _parse_function(self, name: str) -> Predicate:
        if name not in _FUNCTIONS:
            raise build_query_error(f"An unknown function with name '{name}' was found.")
        column = self._take_next()
        self._expect_token(",")
        part = _parse_literal(self._take_next())
        self._expect_token(")")
        function = _FUNCTIONS[name]
        return lambda row: function(str(get_value(row, column) or "").lower(), str(part).lower())

    def _parse_comparison(self, column: str) -> Predicate:
        name, value = self._take_next(), _parse_literal(self._take_next())
        if name in ("eq", "ne"):
            return lambda row: (
                _compare_equal(_convert_for_comparison(get_value(row, column), value), value)
                is (name == "eq")
            )
        if name not in _ORDERS:
            raise build_query_error(f"'{name}' is no operator in '{self._text}'.")
        compare = _ORDERS[name]
        return lambda row: (
            get_value(row, column) is not None
            and compare(_convert_for_comparison(row[column], value), value)
        )


def _parse_literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if token in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[token]
    if _NUMBER.fullmatch(token):
        return float(token) if "." in token else int(token)
    return datetime.fromisoformat(token) if _MOMENT.fullmatch(token) else token


def _convert_for_comparison(value: Any, literal: Any) -> Any:
    """Return a row's value as a time if the literal is one, and otherwise unchanged."""
    is_time = isinstance(literal, datetime) and isinstance(value, str)
    return datetime.fromisoformat(value) if is_time else value


def _compare_equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return bool(left == right)


def build_query_error(message: str) -> SimulatedPlatformError:
    return InvalidQueryError(message)

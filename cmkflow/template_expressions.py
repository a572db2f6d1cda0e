"""Evaluate expressions of ARM templates whose values the template determines.

Default values of parameters count only in ids and names, because an exported template contains the
exported names as defaults. An unknown value becomes a placeholder, such as `<name>`.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from shared.domain.definitions.json_values import as_mapping
from shared.domain.network.firewall_fix_text import SUBSCRIPTION

_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_]\w*)|([().,\[\]]))")
#: Nesting limit; stops variables that refer to themselves.
_MOST_NESTED = 20
#: Parts of an expression that name it: string literals and members.
_NAMING = re.compile(r"'((?:[^']|'')*)'|\.([A-Za-z_]\w*)")
_LONGEST = 60
_PARAMETER = re.compile(r"\[parameters\('([^']+)'\)\]")


class UnresolvedExpression(Exception):
    """The template alone does not determine an expression's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression whose value only a deployment decides."""

    #: Such as `[parameters('name')]`.
    text: str
    #: `string`, `int`, `bool`, `array` or `object`, if the template declares it.
    type: str = "string"


#: Expressions of a template by placeholder.
type Expressions = MutableMapping[str, Expression]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTemplate:
    """An ARM template, with the parameters and variables that its expressions use."""

    #: Default value of each parameter that has one.
    defaults: Mapping[str, object]
    variables: Mapping[str, object]
    #: Prefix of ids of resources in this template.
    scope: str
    #: Declared type of each parameter.
    types: Mapping[str, str] = field(default_factory=dict)
    #: Expressions that were replaced by placeholders so far.
    expressions: Expressions = field(default_factory=dict)

    def resolve_value(self, value: object, name: str = "") -> object:
        """Evaluate the expressions in a value, or replace them with placeholders. `name` is the
        member that has the value.
        """
        if isinstance(value, dict):
            return {
                str(self.resolve_value(key, "name")): self.resolve_value(one, key)
                for key, one in value.items()
            }
        if isinstance(value, list):
            return [self.resolve_value(one, name) for one in value]
        if not isinstance(value, str) or not is_expression(value):
            return value
        try:
            return self.evaluate_expression(value, takes_defaults=_is_for_id_or_name(name, value))
        except (UnresolvedExpression, RecursionError):
            return self.record_placeholder(value)

    def record_placeholder(self, expression: str) -> str:
        """Return a placeholder for an expression, such as `<name>`, and record its meaning."""
        parameter = _PARAMETER.fullmatch(expression)
        declared = (self.types.get(parameter[1]) if parameter else None) or "string"
        texts = ("".join(match.groups("")) for match in _NAMING.finditer(expression))
        words = (one for one in texts if "/" not in one)  # no resource types
        name = re.sub(r"[^\w.-]+", "-", ".".join(words), flags=re.ASCII)[:_LONGEST].strip(".-")
        wanted, number = f"<{name or 'value'}>", 1
        meant = Expression(text=expression, type=declared.lower().removeprefix("secure"))
        while self.expressions.setdefault(wanted, meant).text != expression:
            number += 1
            wanted = f"<{name or 'value'}-{number}>"
        return wanted

    def evaluate_expression(self, text: str, *, takes_defaults: bool, nested: int = 0) -> object:
        """Return the value of an expression. `takes_defaults` uses default values of parameters.
        Raises `UnresolvedExpression` if the template does not determine the value.
        """
        reader = _Reader(self, text[1:-1], takes_defaults, nested)
        value = reader.parse_expression()
        if reader.tokens:
            raise UnresolvedExpression
        return value

    def format_resource_id(self, resource_type: str, name: str) -> str:
        """Return the id of a resource."""
        provider, *types = resource_type.split("/")
        pairs = zip(types, name.split("/") + [""] * len(types), strict=False)
        return f"{self.scope}/providers/{provider}/" + "/".join(f"{t}/{n}" for t, n in pairs)


def is_expression(text: str) -> bool:
    """Return whether a text is an expression, such as `[parameters('name')]`.

    In a text that begins with `[[`, the bracket is literal.
    """
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def _is_for_id_or_name(name: str, text: str) -> bool:
    lowered = name.lower()
    return (
        lowered in {"id", "name"}
        or lowered.endswith("ipgroups")
        or text[1:].lower().startswith("resourceid(")
    )


class _Reader:
    def __init__(self, template: ArmTemplate, text: str, takes_defaults: bool, nested: int) -> None:
        self._template = template
        self._takes_defaults = takes_defaults
        self._nested = nested
        self.tokens = _split_tokens(text)

    def parse_expression(self) -> object:
        value = self._parse_primary()
        while self.tokens and self.tokens[0] in (".", "["):
            if self._take_token() == ".":
                value = self._get_member(value, self._take_token())
            else:
                value = self._get_member(value, self.parse_expression())
                self._require_token("]")
            value = self._evaluate_if_expression(value)
        return value

    def _parse_primary(self) -> object:
        token = self._take_token()
        if isinstance(token, int):
            return token
        if token.startswith("'"):
            return token[1:]
        self._require_token("(")
        arguments: list[object] = []
        while self.tokens and self.tokens[0] != ")":
            arguments.append(self.parse_expression())
            if self.tokens and self.tokens[0] == ",":
                self._take_token()
        self._require_token(")")
        return self._evaluate_call(token.lower(), arguments)

    def _evaluate_call(self, function: str, arguments: Sequence[object]) -> object:
        functions: Mapping[str, Callable[..., object]] = {
            "concat": _join_values,
            "format": _format_pattern,
            "parameters": self._get_parameter_value,
            "resourceid": self._build_resource_id,
            "variables": self._get_variable_value,
        }
        try:
            return functions[function](*arguments)
        except (KeyError, TypeError, ValueError):
            raise UnresolvedExpression from None

    def _get_parameter_value(self, name: str) -> object:
        if not self._takes_defaults:
            raise UnresolvedExpression
        defaults = self._template.defaults
        if name in defaults:
            return self._evaluate_if_expression(defaults[name])
        return self._template.record_placeholder(f"[parameters('{name}')]")

    def _get_variable_value(self, name: str) -> object:
        return self._evaluate_if_expression(self._template.variables[name])

    def _build_resource_id(self, *arguments: str) -> str:
        before = [*takewhile(lambda one: "/" not in one, arguments)]
        resource_type, *names = arguments[len(before) :]
        scope = self._template.scope
        if before:
            subscription, group = (SUBSCRIPTION, *before)[-2:]
            scope = f"/subscriptions/{subscription}/resourceGroups/{group}"
        return replace(self._template, scope=scope).format_resource_id(
            resource_type, "/".join(names)
        )

    def _evaluate_if_expression(self, value: object) -> object:
        if not isinstance(value, str) or not is_expression(value):
            return value
        if self._nested > _MOST_NESTED:
            raise UnresolvedExpression
        return self._template.evaluate_expression(
            value, takes_defaults=self._takes_defaults, nested=self._nested + 1
        )

    def _get_member(self, value: object, name: object) -> object:
        whole = self._template.expressions.get(value) if isinstance(value, str) else None
        if whole:
            wanted = f"[{name}]" if isinstance(name, int) else "." + str(name).removeprefix("'")
            return self._template.record_placeholder(f"{whole.text[:-1]}{wanted}]")
        return _get_known_member(value, name)

    def _take_token(self) -> "str | int":
        if not self.tokens:
            raise UnresolvedExpression
        return self.tokens.pop(0)

    def _require_token(self, token: str) -> None:
        if self._take_token() != token:
            raise UnresolvedExpression


def _split_tokens(text: str) -> "list[str | int]":
    """Return the tokens of an expression: strings with a leading quote, numbers as int."""
    found: list[str | int] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnresolvedExpression
        quoted, number, name, sign = match.groups()
        if quoted is not None:
            found.append("'" + quoted.replace("''", "'"))
        else:
            found.append(int(number) if number else name or sign)
        at = match.end()
    return found


def _get_known_member(value: object, name: object) -> object:
    if isinstance(value, list) and isinstance(name, int) and 0 <= name < len(value):
        return value[name]
    members = as_mapping(value)
    wanted = str(name).removeprefix("'")
    if wanted not in members:
        raise UnresolvedExpression
    return members[wanted]


def _join_values(*parts: object) -> object:
    if parts and all(isinstance(one, list) for one in parts):
        return [item for one in parts if isinstance(one, list) for item in one]
    if not all(isinstance(one, str | int) for one in parts):
        raise UnresolvedExpression
    return "".join(map(str, parts))


def _format_pattern(pattern: str, *values: object) -> str:
    for number, value in enumerate(values):
        pattern = pattern.replace(f"{{{number}}}", str(value))
    return pattern

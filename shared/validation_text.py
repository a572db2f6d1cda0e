"""Describe in plain words why a value from outside is not valid, without the value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError

#: By the type of the error; the limits of the value are its context.
_TEXTS = {
    "missing": "A value is required.",
    "extra_forbidden": "This name is not known. Check its spelling.",
    "literal_error": "Use {expected}.",
    "enum": "Use {expected}.",
    "greater_than_equal": "Use a number of at least {ge:,}.",
    "less_than_equal": "Use a number of at most {le:,}.",
    "string_too_short": "Use at least {min_length:,} character(s).",
    "string_too_long": "Use at most {max_length:,} characters.",
    "too_short": "Use at least {min_length:,} value(s).",
    "too_long": "Use at most {max_length:,} values.",
    "json_invalid": "The text is not valid JSON: {error}.",
    "timezone_aware": "Add the time zone, such as 2030-01-31T08:00:00Z.",
}
#: By the beginning of the type.
_BY_BEGINNING = {
    "string": "Use a text.",
    "int": "Use a whole number.",
    "float": "Use a number.",
    "finite": "Use a number.",
    "bool": "Use true or false.",
    "time_delta": "Use a duration, such as P7D for seven days or PT20S for 20 seconds.",
    "datetime": "Use a time, such as 2030-01-31T08:00:00Z.",
    "date": "Use a date, such as 2030-01-31.",
    "tuple": "Use a list.",
    "list": "Use a list.",
    "set": "Use a list.",
    "frozen_set": "Use a list.",
    "dict": "Use an object with names and values.",
    "mapping": "Use an object with names and values.",
    "model": "Use an object with names and values.",
    "dataclass": "Use an object with names and values.",
    "json": "The text is not valid JSON.",
}
_LONGEST_FIRST = sorted(_BY_BEGINNING, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class TextPattern:
    """A form that a whole text must have. The error describes the form, not the expression."""

    #: A regular expression for the whole text, for Python and for JSON schemas.
    pattern: str
    #: What to use instead of another text, with an example: one sentence.
    hint: str

    def check(self, text: str) -> str:
        """Return the text if it matches the pattern. Raises `ValueError` with the hint if it does
        not.
        """
        if not re.fullmatch(self.pattern, text):
            raise ValueError(self.hint)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(self.check).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(
        self, schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the expression to the JSON schema, so that HTTP clients can check the text."""
        return {**handler(schema), "pattern": self.pattern}


def list_validation_errors(err: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return, for each invalid value, its path and sentences that say what is allowed."""
    found = err.errors(include_url=False, include_input=False)
    return [(one["loc"], describe_validation_error(one)) for one in found]


def describe_validation_error(error: Mapping[str, Any]) -> str:
    """Return sentences that say what is allowed instead of a value.

    They contain no names of the code.
    """
    kind, context = error["type"], error.get("ctx", {})
    limit = context.get("ge", context.get("le"))
    if isinstance(limit, str):  # of a duration, such as `36500 days`
        return f"Use a duration of at {'least' if 'ge' in context else 'most'} {limit}."
    if kind in _TEXTS:
        return _fill_message_template(_TEXTS[kind], context)
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    for beginning in _LONGEST_FIRST:
        if kind.startswith(f"{beginning}_"):
            return _BY_BEGINNING[beginning]
    return "This value is not allowed."


def _fill_message_template(text: str, context: Mapping[str, Any]) -> str:
    if context.get("min_length") == 1:
        text = text.replace("(s)", "")
    return text.replace("(s)", "s").format_map(context)

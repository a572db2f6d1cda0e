"""Build an item of any table, for tests of all tables."""

import types
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeAliasType, Union, get_args, get_origin, get_type_hints

from tests.fakes.clock import START


def build_example[T](kind: type[T], given: Mapping[str, object]) -> T:
    """Return an item of this class with the values in `given`. Its other members get short or empty
    values.
    """
    hints = get_type_hints(kind)
    members = {
        one.name: given[one.name] if one.name in given else _build_value(hints[one.name], given)
        for one in fields(kind)  # type: ignore[arg-type]  # every item is a dataclass
        if one.init
    }
    return kind(**members)


def _build_value(kind: Any, given: Mapping[str, object]) -> object:
    if isinstance(kind, TypeAliasType):
        return _build_value(kind.__value__, given)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if type(None) in arguments else _build_value(arguments[0], given)
    if origin is tuple and Ellipsis not in arguments:
        return tuple(_build_value(one, given) for one in arguments)
    if isinstance(origin, type):
        return {} if issubclass(origin, Mapping) else _build_empty(origin)
    if isinstance(kind, type) and is_dataclass(kind):
        return build_example(kind, given)
    if issubclass(kind, Enum):
        return next(iter(kind))
    simple: dict[Any, object] = {str: "x", datetime: START, timedelta: timedelta(minutes=1)}
    return simple.get(kind) or kind()


def _build_empty(origin: type) -> Collection[object]:
    return frozenset() if issubclass(origin, frozenset | set) else ()

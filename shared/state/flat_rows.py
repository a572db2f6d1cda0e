"""Read and write items whose value objects are stored as fields of the item's own JSON.

A field's name in a row stays the same when the field moves into a value object, or from one to
another.
"""

from collections.abc import Mapping
from dataclasses import Field, field, fields, make_dataclass
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.remediation import EnvironmentJob

#: For each of the item's fields that has a value object, the names under which the object's fields
#: are stored. Fields without a name here are stored under their own.
type StoredNames = Mapping[str, Mapping[str, str]]

_GRANTS = {"active": "active_grants", "past": "past_grants"}
_COPY = {
    "id": "copy_id",
    "flow_name": "copy_flow_name",
    "digest": "copy_digest",
    "is_kept_off": "copy_kept_off",
    "owner_id": "copy_owner_id",
    "shared_with": "copy_shared_with",
    "url_id": "copy_url_id",
    "host": "copy_host",
    "last_write": "copy_write",
}
_ORIGINAL = {
    "id": "original_id",
    "digest": "original_digest",
    "was_on": "original_was_on",
    "url_id": "original_url_id",
    "last_write": "original_write",
}
STORED_NAMES: Mapping[type, StoredNames] = {
    FlowJob: {
        "original": _ORIGINAL,
        "copy": _COPY,
        "observation": {"started_at": "observation_started_at"},
        "grants": _GRANTS,
    },
    EnvironmentJob: {"grants": _GRANTS},
}


class FlatAdapter[T]:
    """Converts items to and from JSON with flat fields, and otherwise as pydantic's `TypeAdapter`
    does.

    The item's class must not define `__slots__`: items are read and built through `__dict__`, as
    `DurableJob.__replace__` does.
    """

    def __init__(self, kind: type[T], stored_names: StoredNames) -> None:
        """Convert items of type `kind`."""
        hints = get_type_hints(kind)
        self._kind = kind
        self._objects: list[tuple[str, Any, list[tuple[str, str]]]] = []
        members: list[tuple[str, Any, Field[Any]]] = []
        for one in fields(kind):  # type: ignore[arg-type]  # every item is a dataclass
            if one.name not in stored_names:
                members.append(_build_member(one.name, hints[one.name], one))
                continue
            names, parts = stored_names[one.name], get_type_hints(hints[one.name])
            stored = {part: names.get(part, part) for part in parts}
            self._objects.append((one.name, hints[one.name], list(stored.items())))
            members += [
                _build_member(stored[part.name], parts[part.name], part)
                for part in fields(hints[one.name])
            ]
        self._flat_kind = make_dataclass(kind.__name__, members, kw_only=True)
        self._adapter = TypeAdapter[Any](self._flat_kind)

    def validate_json(self, text: str, *, extra: Literal["forbid"] | None = None) -> T:
        """Return the item of a JSON text. Raises `ValidationError` if the text is not valid."""
        values = self._adapter.validate_json(text, extra=extra).__dict__
        for name, kind, parts in self._objects:
            values[name] = kind(**{part: values.pop(stored) for part, stored in parts})
        item = object.__new__(self._kind)
        object.__setattr__(item, "__dict__", values)
        return item

    def dump_json(self, item: T) -> bytes:
        """Return the JSON text of an item."""
        values = item.__dict__.copy()
        for name, _, parts in self._objects:
            value_object = values.pop(name)
            for part, stored in parts:
                values[stored] = getattr(value_object, part)
        flat: Any = object.__new__(self._flat_kind)
        object.__setattr__(flat, "__dict__", values)
        return self._adapter.dump_json(flat)


def _build_member(name: str, kind: Any, one: Field[Any]) -> tuple[str, Any, Field[Any]]:
    return name, kind, field(default=one.default, default_factory=one.default_factory)

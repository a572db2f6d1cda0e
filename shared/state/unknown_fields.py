"""Keep the fields of a stored row that this release does not know.

A newer release of the same schema version may add fields. An older release that runs beside it, or
after it, must not lose them. An unchanged element of a list keeps its unknown fields; a changed
element loses them.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """The JSON of a row with fields that this release does not know."""

    stored: str
    #: The JSON that this release writes for the same item.
    known: str

    def add_to_json(self, text: str) -> str:
        """Return the JSON of a changed item with the unknown fields of the stored one."""
        merged = _merge_unknown_members(*map(json.loads, (self.stored, self.known, text)))
        return json.dumps(merged, ensure_ascii=False, separators=(",", ":"))


def _merge_unknown_members(stored: Any, known: Any, new: Any) -> Any:
    match stored, known, new:
        case dict(), dict(), dict():
            unknown = {name: value for name, value in stored.items() if name not in known}
            return unknown | {
                name: _merge_unknown_members(stored.get(name), known.get(name), value)
                for name, value in new.items()
            }
        case list(), list(), list() if len(stored) == len(known):
            return [stored[known.index(one)] if one in known else one for one in new]
    return new

"""Read members of JSON of unknown shape.

A member that is missing or has an unexpected type counts as absent. The functions check for `dict`,
not `Mapping`: `json` decodes to it, and the check is five times as fast.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

#: An escape that may be half of a character: one of a surrogate pair.
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_EMPTY: Mapping[str, object] = {}


class JsonTooDeep(ValueError):
    """The JSON nests too deeply to be read."""

    def __init__(self) -> None:
        super().__init__("the JSON nests too deeply")


def parse_json_value(text: str, *, strict: bool = True) -> object:
    """Decode JSON. Unpaired surrogates, which no row and no response can hold, become `�`.

    If not `strict`, strings may contain line breaks, as Resource Manager allows. Raises
    `JsonTooDeep`, or `ValueError` if the text is not JSON. That error may quote the text.
    """
    try:
        document: object = json.loads(text, strict=strict)
        if not may_have_unpaired_surrogates(text):
            return document
        whole = json.dumps(document, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
        return json.loads(whole.decode("utf-16-le", "replace"))
    except RecursionError:
        raise JsonTooDeep from None


def may_have_unpaired_surrogates(text: str) -> bool:
    """Return whether a JSON text may contain an unpaired surrogate (see `parse_json_value`)."""
    return _SURROGATE_ESCAPE.search(text) is not None


def as_mapping(value: object) -> Mapping[str, object]:
    """Return the value if it is a JSON object, else an empty object."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else _EMPTY


def mapping_at(value: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """Return the object at a chain of member names, or an empty object if there is none."""
    for name in names:
        member = value.get(name)
        if not isinstance(member, dict):
            return _EMPTY
        value = member
    return value


def text_at(value: Mapping[str, object], name: str) -> str | None:
    """Return a member if it is a text that is not empty, else None."""
    member = value.get(name)
    return member if isinstance(member, str) and member else None


def objects_at(value: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the items of a list member as objects, or an empty list if there is no such list."""
    listed = value.get(name)
    return [as_mapping(item) for item in listed] if isinstance(listed, list) else []


def list_texts(value: object) -> Iterator[str]:
    """Yield every text value inside a JSON value, in order. Names of members are not values."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            stack += list(value.values())[::-1]
        elif isinstance(value, list):
            stack += value[::-1]

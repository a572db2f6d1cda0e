"""Reads from JSON whose shape nobody promises.

Definitions come from fifteen years of designers: a missing or oddly typed member must read as
absent, not raise in the middle of ten thousand flows. `dict` is asked for, not `Mapping`: it is
what `json` decodes to, and the test is five times as fast where it is made millions of times.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

#: An escape by which half a character may stand: one of a pair of surrogates.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_EMPTY: Mapping[str, object] = {}


class JsonTooDeep(ValueError):
    """JSON that nests too deep to be read, at any time."""

    def __init__(self) -> None:
        super().__init__("the JSON nests too deep")


def decoded(text: str, *, strict: bool = True) -> object:
    """Decode JSON; half a character, which no row and no answer can hold, becomes a `�`.

    Not `strict`: texts may hold line breaks as they are, as Resource Manager takes them. Raises
    `JsonTooDeep`, and `ValueError` for what is no JSON: it may quote the text.
    """
    try:
        document: object = json.loads(text, strict=strict)
        if not has_halves(text):
            return document
        whole = json.dumps(document, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
        return json.loads(whole.decode("utf-16-le", "replace"))
    except RecursionError:
        raise JsonTooDeep from None


def has_halves(text: str) -> bool:
    """Say whether half a character stands in a JSON text, which `decoded` replaces."""
    return _HALF.search(text) is not None


def as_mapping(value: object) -> Mapping[str, object]:
    """Return a JSON object as it is, anything else as an empty one."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else _EMPTY


def mapping_at(value: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """Return the object at a chain of member names, an empty one where the chain breaks."""
    for name in names:
        member = value.get(name)
        if not isinstance(member, dict):
            return _EMPTY
        value = member
    return value


def text_at(value: Mapping[str, object], name: str) -> str | None:
    """Return a member that is text and not empty, else None."""
    member = value.get(name)
    return member if isinstance(member, str) and member else None


def objects_at(value: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return a member that is a list as objects; anything else as an empty one."""
    listed = value.get(name)
    return [as_mapping(item) for item in listed] if isinstance(listed, list) else []


def texts_in(value: object) -> Iterator[str]:
    """Yield every text that is a value anywhere inside, in order; member names are left out."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            stack += list(value.values())[::-1]
        elif isinstance(value, list):
            stack += value[::-1]

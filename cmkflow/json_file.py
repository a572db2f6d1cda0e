"""Reads JSON that others exported: in UTF-8, with a byte order mark, in UTF-16."""

import json
from collections.abc import Iterable

from shared.domain.definitions.json_values import JsonTooDeep, decoded


class UnreadableFile(Exception):
    """The file cannot be read; the text says why and never quotes it, for it may hold secrets."""


#: A file of this size cannot hold paths that cost anything.
_SMALL = 100_000
#: Characters of the paths to all objects and lists of a file. Large exports have a fifth of it.
_MOST_IN_PATHS = 1_000_000_000


def decode_json(data: bytes) -> object:
    """Decode JSON whatever its encoding, with line breaks in its texts; raises `UnreadableFile`."""
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"the text is not {error.encoding}") from None
    try:
        document = decoded(text.removeprefix("\ufeff"), strict=False)
        if len(data) > _SMALL:
            _check_paths(document)
        return document
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"not JSON: line {error.lineno}, column {error.colno}") from None
    except JsonTooDeep as error:
        raise UnreadableFile(str(error)) from None
    except ValueError:
        raise UnreadableFile("the JSON has a number too long") from None


def _check_paths(document: object) -> None:
    """Return if paths to what a document holds can be written out; raises `UnreadableFile`.

    A long name around many members, or names in names, take the square of the file's length.
    """
    stack, total = [(document, 0)], 0
    while stack and total <= _MOST_IN_PATHS:
        value, length = stack.pop()
        members: Iterable[tuple[int, object]] = ()
        if isinstance(value, dict):
            members = ((len(name) + 1, member) for name, member in value.items())
        elif isinstance(value, list):
            members = ((1, item) for item in value)
        for more, member in members:
            if member and isinstance(member, dict | list):
                total += length + more
                stack.append((member, length + more))
    if stack:
        raise UnreadableFile("its members have long names inside of long names")

"""Decode exported JSON, and read Microsoft's service tag list."""

import json
from collections.abc import Iterable
from pathlib import Path

import typer

from cmkflow.terminal import echo
from shared.domain.definitions.json_values import JsonTooDeep, parse_json_value
from shared.domain.network.service_tags import ServiceTagList, parse_service_tags


class UnreadableFile(Exception):
    """A file cannot be read. The text says why."""


#: Size below which the check of paths is not needed, in bytes.
_SMALL = 100_000
#: Maximum total length of the paths to all objects and lists; large exports have a fifth of it.
_MOST_IN_PATHS = 1_000_000_000


def decode_text(data: bytes) -> str:
    """Return a text in UTF-8, UTF-16 or UTF-32, without its byte order mark. Raises
    `UnreadableFile` if it is in another encoding.
    """
    try:
        return data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"the text is not {error.encoding}") from None


def decode_json(data: bytes) -> object:
    """Return the value of a JSON file. Accepts UTF-8, UTF-16 and UTF-32, and line breaks in
    strings. Raises `UnreadableFile` if the file is not valid JSON or is nested too deeply.
    """
    text = decode_text(data)
    try:
        document = parse_json_value(text, strict=False)
        if len(data) > _SMALL:
            _require_short_paths(document)
        return document
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"not JSON: line {error.lineno}, column {error.colno}") from None
    except JsonTooDeep as error:
        raise UnreadableFile(str(error)) from None
    except ValueError:
        raise UnreadableFile("the JSON contains a number that is too long") from None


def _require_short_paths(document: object) -> None:
    """Raise `UnreadableFile` if nested members with long names make paths too long in total."""
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
        raise UnreadableFile("the JSON nests members with long names too deeply")


def read_service_tag_list(path: Path) -> ServiceTagList:
    """Return the service tag list in a file. If that fails, prints why and exits with 1."""
    try:
        return parse_service_tags(json.loads(path.read_bytes()))
    except OSError as err:
        problem = err.strerror or str(err)
    except (ValueError, RecursionError) as err:
        problem = str(err)
    echo(f"{path}: {problem}", err=True)
    raise typer.Exit(1)

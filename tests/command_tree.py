"""Every command of `cmkflow`, read from its own tree instead of a separate list."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from typer.main import get_command

from cmkflow.__main__ import app


@cache
def build_command_tree() -> Mapping[tuple[str, ...], Any]:
    """Return commands and groups by the words after `cmkflow`; `()` is the program itself."""
    return MappingProxyType(dict(_walk(get_command(app), ())))


def is_group(command: Any) -> bool:
    """Return whether a command only contains commands."""
    return hasattr(command, "commands")


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    if is_group(command):
        for name, below in command.commands.items():
            yield from _walk(below, (*words, name))

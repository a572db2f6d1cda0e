"""List every command of `cmkflow` from the command tree of the program itself."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from typer.main import get_command

from cmkflow.__main__ import app


@cache
def build_command_tree() -> Mapping[tuple[str, ...], Any]:
    """Return each command and command group by the words after `cmkflow`.

    The key `()` is the program.
    """
    return MappingProxyType(dict(_walk(get_command(app), ())))


def is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    if is_group(command):
        for name, below in command.commands.items():
            yield from _walk(below, (*words, name))

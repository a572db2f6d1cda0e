"""Every command that `cmkflow` has, walked from its own tree: no list of them is kept by hand."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cmkflow.__main__ import app


def command_tree() -> dict[tuple[str, ...], Any]:
    """Return commands and groups by the words that are typed after `cmkflow`; `()` is itself."""
    return dict(_walk(get_command(app), ()))


def is_group(command: Any) -> bool:
    """Say whether it only holds commands."""
    return hasattr(command, "commands")


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    if is_group(command):
        for name, below in command.commands.items():
            yield from _walk(below, (*words, name))

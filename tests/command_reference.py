"""Generate docs/command-reference.md, which describes every command of `cmkflow`.

`python -m tests.command_reference` writes it from the help texts of the commands.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from tests.command_tree import build_command_tree, is_group

PAGE = Path(__file__).parents[1] / "docs" / "command-reference.md"
#: Of every command that talks to the app: named once.
COMMON = ("api", "profile", "function_key", "output", "query", "no_pager", "debug")
#: What so many commands take with the same text is explained once.
_SHARED = 3
_HEAD = """# Command reference

Every command of `cmkflow`; `--help` explains its options.
[The command line](command-line.md) has examples and exit codes.

Every command that talks to the app takes these:

"""
_OF_MANY = "\n\nMany commands share these:\n\n"
_TABLE = ("", "| Command | What it does |", "|---|---|")


def build_reference() -> str:
    commands = {
        words: one for words, one in sorted(build_command_tree().items()) if not is_group(one)
    }
    common = [one for one in build_command_tree()["health",].params if one.name in COMMON]
    count = Counter(
        _format_row(one) for command in commands.values() for one in _list_own_parameters(command)
    )
    shared = sorted(row for row, times in count.items() if times >= _SHARED)
    sections = [_format_command(words, one) for words, one in commands.items()]
    head = _HEAD + "\n".join(map(_format_row, common)) + _OF_MANY + "\n".join(shared)
    return "\n".join((head, *_TABLE, *sections)) + "\n"


def _format_command(words: tuple[str, ...], command: Any) -> str:
    usage = " ".join(
        (*words, *(_format_metavar(one) for one in command.params if _is_argument(one)))
    )
    return f"| `{usage}` | {find_summary(command.help)} |"


def _list_own_parameters(command: Any) -> list[Any]:
    return [one for one in command.params if one.name not in COMMON and not one.hidden]


def _format_row(one: Any) -> str:
    names = (
        f"`{_format_metavar(one)}`"
        if _is_argument(one)
        else ", ".join(f"`{name}`" for name in one.opts)
    )
    return f"* {names}: {join_lines(one.help or '')}"


def _is_argument(one: Any) -> bool:
    return bool(one.param_type_name == "argument")


def _format_metavar(argument: Any) -> str:
    metavar = str(argument.metavar or argument.name.upper())
    return metavar if argument.required else f"[{metavar}]"


def join_lines(text: str) -> str:
    """Return a help text on one line, with `|` escaped, for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def find_summary(text: str) -> str:
    """Return the first sentence of a help text."""
    return join_lines(text).partition(". ")[0].removesuffix(".") + "."


if __name__ == "__main__":
    PAGE.write_text(build_reference())

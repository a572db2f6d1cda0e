"""What docs/command-reference.md says: the help of every command, from the commands themselves.

`python -m tests.command_reference` writes it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.command_tree import command_tree, is_group

PAGE = Path(__file__).parents[1] / "docs" / "command-reference.md"
#: Of every command that talks to the app: told once.
COMMON = ("api", "function_key", "output", "query", "no_pager")
_HEAD = """# Command reference

What `--help` says of every command; `python -m tests.command_reference` writes this page.
[The command line](command-line.md) says how they are used, and what their exit codes mean.

Every command that talks to the app takes these, and `--help` (`-h`):

"""


def reference() -> str:
    """Return the page."""
    commands = {words: one for words, one in sorted(command_tree().items()) if not is_group(one)}
    common = [one for one in commands["health",].params if one.name in COMMON]
    sections = [_section(words, one) for words, one in commands.items()]
    return "\n".join((_HEAD + "\n".join(_rows(common)), *sections)) + "\n"


def _section(words: tuple[str, ...], command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(("cmkflow", *words, *(_metavar(one) for one in arguments)))
    own = [one for one in command.params if one.name not in COMMON and not one.hidden]
    rows = list(_rows(own))
    return "\n".join(("", f"## {usage}", one_line(command.help), *([""] * bool(rows)), *rows))


def _rows(parameters: list[Any]) -> Iterator[str]:
    if parameters:
        yield "| | |"
        yield "|---|---|"
    for one in parameters:
        is_option = one.param_type_name == "option"
        names = ", ".join(f"`{name}`" for name in one.opts) if is_option else f"`{_metavar(one)}`"
        yield f"| {names} | {one_line(one.help or '')} |"


def _metavar(argument: Any) -> str:
    metavar = str(argument.metavar or argument.name.upper())
    return metavar if argument.required else f"[{metavar}]"


def one_line(text: str) -> str:
    """Return a help text on one line: as Markdown it is text, and no command to be typed."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "")


if __name__ == "__main__":
    PAGE.write_text(reference())

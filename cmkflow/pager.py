"""Shows what is longer than the terminal in a pager, as git does: `PAGER`, else `less`."""

import os
import shlex
import signal
import subprocess
from typing import Annotated

import typer
from rich.console import RenderableType

from cmkflow.terminal import Terminal

#: Of less: short texts end by themselves, colours stay, the screen is left as it is.
_LESS = "FRX"


NoPager = Annotated[
    bool, typer.Option("--no-pager", help="Print at once what is longer than the terminal.")
]


def print_text(renderable: RenderableType, *, is_paged: bool) -> None:
    """Print it; by a pager if that `is_paged`, a terminal is there, and it is too low for it."""
    console = Terminal()
    if not (is_paged and console.is_terminal and not console.is_dumb_terminal):
        console.print(renderable, crop=False)
        return
    with console.capture() as captured:
        console.print(renderable, crop=False)
    text = captured.get()
    if text.count("\n") < console.height or not _paged(text):
        console.file.write(text)


def _paged(text: str) -> bool:
    """Say whether a pager has shown it."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command == ["cat"]:
        return False
    try:
        pager = subprocess.Popen(  # noqa: S603  # whoever sets PAGER runs this command
            command, stdin=subprocess.PIPE, text=True, env={"LESS": _LESS, **os.environ}
        )
    except OSError:
        return False
    # The pager is what an interrupt is for: it ends the search, not the command.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pager.communicate(text)
    finally:
        signal.signal(signal.SIGINT, before)
    return True

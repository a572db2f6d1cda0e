"""Show long output in a pager, like git: `PAGER`, or else `less`."""

import os
import shlex
import signal
import subprocess
from typing import Annotated

import typer
from rich.console import RenderableType

from cmkflow.terminal import Terminal

#: Options of less: quit on short texts, keep colours, do not clear the screen.
_LESS = "FRX"


NoPager = Annotated[bool, typer.Option("--no-pager", help="Do not use a pager for long output.")]


def print_text(renderable: RenderableType, *, is_paged: bool) -> None:
    """Print `renderable`, in a pager if it is longer than the terminal and `is_paged` is True."""
    console = Terminal()
    if not (is_paged and console.is_terminal and not console.is_dumb_terminal):
        console.print(renderable, crop=False)
        return
    with console.capture() as captured:
        console.print(renderable, crop=False)
    text = captured.get()
    if text.count("\n") < console.height or not _show_in_pager(text):
        console.file.write(text)


def _show_in_pager(text: str) -> bool:
    """Show a text in the pager. Returns False if there is none."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command == ["cat"]:
        return False
    try:
        pager = subprocess.Popen(  # noqa: S603  # the user who sets PAGER chooses this command
            command, stdin=subprocess.PIPE, text=True, env={"LESS": _LESS, **os.environ}
        )
    except OSError:
        return False
    # Ctrl-C goes to the pager, where it cancels a search.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pager.communicate(text)
    finally:
        signal.signal(signal.SIGINT, before)
    return True

"""Repeat a command and show its answer whenever it changes, until no work is in progress."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cmkflow.api_client import ApiError, ExitCode
from cmkflow.output import remove_tabs_and_breaks
from cmkflow.terminal import Terminal, echo, remove_line_breaks

#: Seconds between two requests; the app only reads stored rows for them.
SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How a command's answers are compared, and when it ends."""

    #: Returns a line for each item that may change, by name.
    lines: Callable[[Any], Mapping[str, str]]
    #: Returns the exit code of the command when nothing is in progress, else None.
    end: Callable[[Any], int | None]


def follow_answer(
    ask: Callable[[], Any],
    watched: WatchOptions,
    show: Callable[[Any], RenderableType] | None,
    for_programs: Callable[[Any], str],
) -> NoReturn:
    """Show the answer of `ask` whenever it changes, then end the command. Without `show`, each
    changed answer is printed for programs.
    """
    if show is None:
        code = _print_answers(ask, watched, for_programs)
    elif (console := Terminal()).is_terminal:
        code = _redraw_answers(ask, watched, show, console)
    else:
        code = _print_changes(ask, watched)
    raise typer.Exit(code)


def _print_answers(
    ask: Callable[[], Any], watched: WatchOptions, shown: Callable[[Any], str]
) -> int:
    before = ""
    while True:
        answer = _ask_until_answered(ask)
        if (text := shown(answer)) != before:
            echo(text)
        before = text
        if (code := watched.end(answer)) is not None:
            return code
        time.sleep(SECONDS)


def _redraw_answers(
    ask: Callable[[], Any],
    watched: WatchOptions,
    show: Callable[[Any], RenderableType],
    console: Terminal,
) -> int:
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            answer = _ask_until_answered(ask)
            head = (
                f"{datetime.now(UTC):%H:%M:%S} UTC, updates every {SECONDS:.0f} s; Ctrl-C to stop"
            )
            code = watched.end(answer)
            if code is not None:
                live.vertical_overflow = "visible"
            live.update(
                Group(Text(head, style="dim"), show(remove_line_breaks(answer))), refresh=True
            )
            if code is not None:
                return code
            time.sleep(SECONDS)


def _print_changes(ask: Callable[[], Any], watched: WatchOptions) -> int:
    before: Mapping[str, str] = {}
    while True:
        answer = _ask_until_answered(ask)
        now = watched.lines(remove_line_breaks(answer))
        gone = dict.fromkeys(before.keys() - now.keys(), "resolved")
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for name, line in {**now, **gone}.items():
            if before.get(name) != line:
                echo("\t".join(map(remove_tabs_and_breaks, (at, name, line))))
        if (code := watched.end(answer)) is not None:
            return code
        before = now
        time.sleep(SECONDS)


def _ask_until_answered(ask: Callable[[], Any]) -> Any:
    while True:
        try:
            return ask()
        except ApiError as err:
            if err.exit_code is not ExitCode.SERVICE_UNAVAILABLE:
                raise
            echo(str(err), err=True)
            time.sleep(SECONDS)

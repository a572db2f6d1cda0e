"""`cmkflow watch`: shows an answer anew as it changes, until there is nothing to wait for."""

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
from cmkflow.output import one_field
from cmkflow.terminal import Terminal, echo, one_line

#: Between two looks: the API reads rows only for each.
SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How an answer is watched."""

    #: Returns a line for each thing that may change, by its name.
    lines: Callable[[Any], Mapping[str, str]]
    #: Returns the command's exit code once nothing goes on by itself; None: it goes on.
    end: Callable[[Any], int | None]


def follow(
    ask: Callable[[], Any],
    watched: WatchOptions,
    show: Callable[[Any], RenderableType] | None,
    for_programs: Callable[[Any], str],
) -> NoReturn:
    """Redraw the answer in a terminal, elsewhere print a line for each change; raises `Exit`.

    Without `show` an answer that has changed is printed for programs. An app that gives no answer
    for a while is waited for; other errors are raised.
    """
    if show is None:
        code = _printed(ask, watched, for_programs)
    elif (console := Terminal()).is_terminal:
        code = _redrawn(ask, watched, show, console)
    else:
        code = _told(ask, watched)
    raise typer.Exit(code)


def _printed(ask: Callable[[], Any], watched: WatchOptions, shown: Callable[[Any], str]) -> int:
    before = ""
    while True:
        answer = _asked(ask)
        if (text := shown(answer)) != before:
            echo(text)
        before = text
        if (code := watched.end(answer)) is not None:
            return code
        time.sleep(SECONDS)


def _redrawn(
    ask: Callable[[], Any],
    watched: WatchOptions,
    show: Callable[[Any], RenderableType],
    console: Terminal,
) -> int:
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            answer = _asked(ask)
            head = f"{datetime.now(UTC):%H:%M:%S} UTC, again every {SECONDS:.0f} s; Ctrl-C ends it"
            code = watched.end(answer)
            if code is not None:
                live.vertical_overflow = "visible"
            live.update(Group(Text(head, style="dim"), show(one_line(answer))), refresh=True)
            if code is not None:
                return code
            time.sleep(SECONDS)


def _told(ask: Callable[[], Any], watched: WatchOptions) -> int:
    before: Mapping[str, str] = {}
    while True:
        answer = _asked(ask)
        now = watched.lines(one_line(answer))
        gone = dict.fromkeys(before.keys() - now.keys(), "settled")
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for name, line in {**now, **gone}.items():
            if before.get(name) != line:
                echo("\t".join(map(one_field, (at, name, line))))
        if (code := watched.end(answer)) is not None:
            return code
        before = now
        time.sleep(SECONDS)


def _asked(ask: Callable[[], Any]) -> Any:
    while True:
        try:
            return ask()
        except ApiError as err:
            if err.exit_code is not ExitCode.SERVICE_UNAVAILABLE:
                raise
            echo(str(err), err=True)
            time.sleep(SECONDS)

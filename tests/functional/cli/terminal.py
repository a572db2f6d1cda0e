"""Run `cmkflow` as a process in a terminal of a given size."""

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from tests.functional.cli.cli_app import CommandLine

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    text: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text.splitlines()]


async def run_in_terminal(
    cli: CommandLine,
    *arguments: str,
    columns: int = 80,
    rows: int = 200,
    interrupt_at: str = "",
    **variables: str,
) -> Screen:
    """Run a command in a terminal of this size. Interrupt it after it has printed `interrupt_at`,
    if given.
    """
    return await asyncio.to_thread(_run, cli, arguments, (columns, rows), variables, interrupt_at)


def _run(
    cli: CommandLine,
    arguments: tuple[str, ...],
    size: tuple[int, int],
    variables: dict[str, str],
    interrupt_at: str,
) -> Screen:
    columns, rows = size
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "TERM": "xterm-256color",
        "PYTHONIOENCODING": "utf-8",
        "CMKFLOW_API": cli.url,
        "CMKFLOW_KEY": cli.key,
        "CMKFLOW_BY": "admin@contoso.example",
        **variables,
    }
    with subprocess.Popen(
        # What runs in the background of a shell ignores an interrupt; in a terminal it does not.
        ["env", "--default-signal=INT", sys.executable, "-m", "cmkflow", *arguments],
        cwd=ROOT,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        text = b""
        while part := _read(ours):
            text += part
            if interrupt_at and interrupt_at.encode() in text:
                process.send_signal(signal.SIGINT)
                interrupt_at = ""
        code = process.wait()
    os.close(ours)
    return Screen(text=text.decode().replace("\r\n", "\n"), exit_code=code)


def _read(terminal: int) -> bytes:
    """Return the output, or nothing after the command has closed its end of the terminal."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so by an error
        return b""

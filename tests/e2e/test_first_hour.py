"""Test docs/first-hour.md: type each of its commands in another terminal while `make up` runs."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_cloud.apply_policy import PolicyLinkError, link

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "first-hour.md").read_text()
#: Commands that a person types again until they show what is waited for: they change nothing.
_LOOKS = (
    "cmkflow status",
    "cmkflow remediation show",
    "cmkflow plan show",
    "cmkflow deletion list",
    "python -m local_cloud notifications",
)
_PATIENCE = 180
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/",
    "LANG": "C.UTF-8",
    "COLUMNS": "120",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command of the page, and the part of its output that the page shows."""

    command: str
    shown: tuple[str, ...]


def read_typed_commands() -> Iterator[Typed]:
    """Yield the commands of the page in order, without those of the first terminal."""
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            if not command.startswith("make"):
                yield Typed(command=command, shown=tuple(shown))


def find_missing_text(shown: tuple[str, ...], output: str) -> str:
    """Return the first text of the page that is missing or out of order in the output, or "".

    Ignores line breaks of the terminal and lines of tables.
    """
    rest = _normalise(output)
    for text in filter(None, (_normalise(part) for line in shown for part in line.split("…"))):
        _, found, rest = rest.partition(text)
        if not found:
            return text
    return ""


def _normalise(text: str) -> str:
    return " ".join(re.sub(r"[─-╿]", " ", text).split())


@asynccontextmanager
async def run_make_up(folder: Path) -> AsyncIterator[str]:
    """Run `make up`, and yield its output when everything has started.

    At the end, stop it with Ctrl-C.
    """
    process = await asyncio.create_subprocess_exec(
        "env", "--default-signal=INT",  # whatever runs in the background of a shell ignores it
        sys.executable, "-m", "local_cloud", "up", "--folder", str(folder),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        text = await process.stdout.readuntil(b"Stop with Ctrl-C.")
        yield text.decode()
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


class Terminal:
    """A shell that keeps its exports and its folder.

    It cannot import the packages of the checkout.
    """

    def __init__(self, folder: Path, pasted: str) -> None:
        self._state = folder / "exported"
        # A home of its own: the sign-in is kept there.
        self._state.write_text(f"export XDG_CONFIG_HOME={folder / 'home'}\n{pasted}")

    async def run(self, command: str) -> tuple[int, str]:
        """Type a command and answer its question with yes. Return the exit code and the output."""
        kept = f'{{ export -p; echo "cd $PWD"; }} > {self._state}'
        script = f". {self._state}; {command}\ncode=$?; {kept}; exit $code"
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", script,
            cwd="/", env=_ENVIRONMENT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate(b"y\n")
        return process.returncode or 0, output.decode()


@pytest.mark.e2e
@pytest.mark.timeout(1200)  # it types some 40 commands, each a process, and waits for the app
async def test_commands_of_the_first_hour_print_what_the_page_shows(tmp_path: Path) -> None:
    page = list(read_typed_commands())
    async with run_make_up(tmp_path / "up") as text:
        lines = re.findall(r"^  (.+)$", text, re.MULTILINE)
        pasted = [line for line in lines if line.startswith(("cd ", "export ", "cmkflow login"))]
        next_commands = lines[len(pasted) :]
        assert len(next_commands) == 3
        # They are on the page, in that order.
        assert [one.command for one in page if one.command in next_commands] == next_commands

        terminal = Terminal(tmp_path, "\n".join(pasted))
        for one in page:
            await _type_command(terminal, one)


async def _type_command(terminal: Terminal, one: Typed) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        code, output = await terminal.run(one.command)
        text = find_missing_text(one.shown, output)
        if code == 0 and not text:
            return
        may_come = one.command.startswith(_LOOKS) and time.monotonic() < until
        assert may_come, f"{one.command}: {code}, no {text!r} in\n{output}"
        await asyncio.sleep(3)


def test_find_missing_text_requires_the_order_of_the_page() -> None:
    output = "┃ Flows ┃ 5 blocked,\n  20 retired ┃\nNext step   none"

    assert find_missing_text(("Flows 5 blocked, 20 retired", "…", "Next step none"), output) == ""
    assert find_missing_text(("Next step none", "Flows 5"), output) == "Flows 5"
    assert find_missing_text(("Flows … 21 retired",), output) == "21 retired"


def test_link_without_exports_or_tenant_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_TENANT", raising=False)
    with pytest.raises(PolicyLinkError, match="paste the export lines"):
        link("environment", "policy")
    monkeypatch.setenv("LOCAL_TENANT", "http://127.0.0.1:9")
    with pytest.raises(PolicyLinkError, match="is `make up` still running"):
        link("environment", "policy")

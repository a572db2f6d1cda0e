import asyncio
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from local_cloud.demo.command import FOLDERS
from local_cloud.tenant.core.profiles import Profile

ROOT = Path(__file__).parents[2]
_PATIENCE = 30
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_killed_make_up_leaves_no_child_and_a_second_start_is_rejected(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "up"
    first = await _start_make_up(folder)
    children: list[int] = []
    assert first.stdout is not None
    try:
        text = await first.stdout.readuntil(b"Stop with Ctrl-C.")
        children = _open_children(first.pid)
        second = await _start_make_up(folder)
        _, refusal = await second.communicate()
        had_ended = _wait_for_ended(children, 0)
    finally:
        first.kill()
        await first.wait()
    ended = await asyncio.to_thread(_wait_for_ended, children, _PATIENCE)
    for child in set(children) - set(ended):
        signal.pidfd_send_signal(child, signal.SIGKILL)

    assert b"are lost" in text
    assert second.returncode == 2
    assert f"process {first.pid} is already running in {folder}" in refusal.decode()
    assert len(children) == 4
    assert had_ended == []
    assert ended == children


def test_demo_and_make_up_use_different_folders() -> None:
    """Each empties its folder when it starts. In a shared folder, `make up` would delete the demo's
    report.
    """
    assert len(set(FOLDERS.values())) == 2 * len(Profile)


async def _start_make_up(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_cloud", "up", "--folder", str(folder),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def _open_children(parent: int) -> list[int]:
    """Return a file descriptor (pidfd) for each child process.

    It stays valid after the process ends.
    """
    threads = Path(f"/proc/{parent}/task").iterdir()
    found = [one for thread in threads for one in (thread / "children").read_text().split()]
    return [os.pidfd_open(int(one)) for one in found]


def _wait_for_ended(children: list[int], seconds: float) -> list[int]:
    """Wait for each process for at most this time. Return the descriptors of those that ended."""
    return [one for one in children if select.select([one], [], [], seconds)[0]]

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SAMPLE_APP = Path(__file__).parent / "sample_app"
#: Nothing listens here, so the queue functions of the sample app keep trying.
NO_BUS = (
    "Endpoint=sb://localhost:9;SharedAccessKeyName=x;SharedAccessKey=y;UseDevelopmentEmulator=true;"
)
KEY = "the-key"


class HostProcess:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.ready: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return str(self.ready["listening"])

    def list_notes(self, function: str) -> list[dict[str, Any]]:
        notes = _read_json_lines(self._folder / "seen.jsonl")
        return [note for note in notes if note["function"] == function]

    def list_log_lines(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log_lines() if line["message"] == message]

    def log_lines(self) -> list[dict[str, Any]]:
        return _read_json_lines(self._folder / "stderr")

    async def stop(self) -> int:
        """Stop the host with SIGTERM, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@asynccontextmanager
async def run_host(
    folder: Path, app_dir: Path = SAMPLE_APP, **settings: str
) -> AsyncIterator[HostProcess]:
    environ = os.environ | {
        "SEEN": str(folder / "seen.jsonl"),
        "TICK": "0 0 0 1 1 *",
        "ORDERS": "orders",
        "ServiceBusConnection": NO_BUS,
        **settings,
    }
    command = ("-m", "local_cloud.functions_host", str(app_dir), "--port", "0")
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, "--function-key", KEY,
            cwd=ROOT, env=environ, stdout=out, stderr=err,
        )  # fmt: skip
    host = HostProcess(process, folder)
    try:
        await wait_until(
            lambda: _read_json_lines(folder / "stdout") or process.returncode is not None
        )
        assert process.returncode is None, (folder / "stderr").read_text()
        host.ready = _read_json_lines(folder / "stdout")[0]
        yield host
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run_failed_start(folder: Path, app_dir: Path, **settings: str) -> tuple[int, str]:
    """Run a host whose start must fail. Return its exit code and its stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_cloud.functions_host", str(app_dir), "--port", "0",
        cwd=ROOT, env=os.environ | settings,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()


async def wait_until[T](observe: Callable[[], T], seconds: float = 20.0) -> T:
    """Return the first true result of `observe`. Raises `TimeoutError` after some seconds."""
    async with asyncio.timeout(seconds):
        while not (observation := observe()):  # noqa: ASYNC110  # another process is watched
            await asyncio.sleep(0.02)
    return observation


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]

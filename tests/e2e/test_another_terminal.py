"""What `make up` prints is pasted into another terminal as it stands, and works there."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local_cloud.link import LinkError, link

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def printed(folder: Path) -> AsyncIterator[str]:
    """Everything running; yields what it printed, and stops it as Ctrl-C does."""
    process = await asyncio.create_subprocess_exec(
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


async def paste(lines: str) -> tuple[int, str]:
    """Paste lines into a shell that knows nothing but where programs are; exit code, output."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", lines,
        cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.e2e
async def test_what_up_prints_leads_to_a_plan_that_is_approved(tmp_path: Path) -> None:
    """Assess, opt in, link with the lines as printed; then the plan that waits is approved."""
    async with printed(tmp_path / "up") as text:
        lines = re.findall(r"^  (.+)$", text, re.MULTILINE)
        *shown, approve = lines
        preamble = "\n".join(line for line in lines if re.match("cd|export", line))

        code, output = await paste("\n".join(shown))
        assert code == 0, output
        assert "Take orders" in output
        assert "The key is being applied" in output

        async with asyncio.timeout(120):
            while True:
                code, output = await paste(f"{preamble}\ncmkflow remediation list --json")
                assert code == 0, output
                waiting = [
                    item["remediation"]["id"]
                    for item in json.loads(output)["items"]
                    if item["progress"]["state"] == "awaiting_approval"
                ]
                if waiting:
                    break
                await asyncio.sleep(1)
        assert approve == "cmkflow plan approve REMEDIATION"
        code, output = await paste(f"{preamble}\ncmkflow plan approve {waiting[0]} --yes")
        assert code == 0, output


def test_linking_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export lines, or a tenant that answers."""
    monkeypatch.delenv("LOCAL_TENANT", raising=False)
    with pytest.raises(LinkError, match="paste the export lines"):
        link("environment", "policy")
    monkeypatch.setenv("LOCAL_TENANT", "http://127.0.0.1:9")
    with pytest.raises(LinkError, match="is `make up` still running"):
        link("environment", "policy")

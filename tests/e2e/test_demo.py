"""Test the demo as a user runs it: one command, which writes two reports."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_demo_loses_no_call_and_reports_each_end_state(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_cloud", "demo", "--folder", str(folder),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    report = json.loads((folder / "report.json").read_text())
    assert report["succeeded"]
    assert report["traffic"]["lost"] == 0
    assert report["traffic"]["answered"] == report["traffic"]["sent"] > 0
    steps = " ".join(note["text"] for note in report["notes"])
    assert re.search(r"Its original stays on.*Its owner confirms that the complaint form", steps)
    operations = [row["name"] for row in report["trace"]["rows"]]
    assert operations[0].startswith(("timer ", "process ", "POST /api/"))
    assert {"process flow-jobs", "step copying", "PATCH /api/data/v9.2/workflows({})"} <= {
        *operations
    }
    # The app has closed every connection before its end.
    assert '"logger": "asyncio"' not in (folder / "app.log").read_text()
    assert "Take orders" in (folder / "report.html").read_text()
    for file in (
        *folder.glob("report.*"),
        folder / "app.log",
        folder / "spans.jsonl",
        folder / "state" / "state.db",
    ):
        # A signature that was masked reads `sig=«sig:sha256:…»`.
        assert not re.search(rb"sig=[A-Za-z0-9_%-]{20,}", file.read_bytes()), file.name

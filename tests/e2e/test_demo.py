"""Test that the demo ends as usual and reports it, even if the app's process is killed several
times.
"""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from local_cloud.demo import command
from local_cloud.demo.flow_results import DemoResult
from local_cloud.demo.run import DemoOptions, DemoRun
from tests.e2e.log_reader import LogReader

#: Where the app is killed, in order: after its log contained a text this number of times. Another
#: process continues each time.
KILLS = (
    (": planned -> preparing", 1),
    ("waiting_for_platform_migration -> waiting_for_platform_migration", 2),
    (": planned -> copying", 4),
    (": copied -> verified", 5),
    (": updating_callers -> checking_for_calls", 4),
    (": cutting_over -> monitoring", 3),
    (": archiving -> deleting", 1),
    (": rolling_back -> ", 1),
)


class InterruptedDemo(DemoRun):
    """A demo during which the app is killed and started again as `KILLS` says."""

    kills = 0

    async def play(self) -> DemoResult:
        scenario = asyncio.create_task(super().play())
        counts, log = Counter[str](), LogReader(self.stack.locate_log("app"))
        for text, times in KILLS:
            while not scenario.done() and counts[text] < times:
                await asyncio.sleep(0.02)
                for line in log.read_new_lines():
                    counts.update(text for text, _ in KILLS if text in line)
            if not scenario.done():
                await self.stack.kill_app()
                InterruptedDemo.kills += 1
                await self.stack.start_app()
        return await scenario


@pytest.mark.e2e
@pytest.mark.timeout(900)
async def test_demo_loses_no_call_and_reports_each_end_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    monkeypatch.setattr(command, "DemoRun", InterruptedDemo)

    code = await command.play_demo(DemoOptions(folder=folder))

    assert code == 0
    assert InterruptedDemo.kills == len(KILLS)
    document = json.loads((folder / "report.json").read_text())
    assert document["failures"] == []
    assert document["succeeded"]
    assert document["traffic"]["lost"] == 0
    assert document["traffic"]["answered"] == document["traffic"]["sent"] > 0
    steps = " ".join(note["text"] for note in document["notes"])
    assert re.search(r"Its original stays on.*Its owner confirms that the complaint form", steps)
    operations = [row["name"] for row in document["trace"]["rows"]]
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

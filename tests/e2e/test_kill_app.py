import asyncio
from collections import Counter
from pathlib import Path

import pytest

from local_cloud.demo.run import DemoOptions, DemoRun
from tests.e2e.log_reader import LogReader

#: What the app's log says when its process is killed, one after the other: text and how often it
#: has to stand there. Between two of them another process has taken over.
POINTS = (
    (": planned -> preparing", 1),
    ("waiting_for_platform_migration -> waiting_for_platform_migration", 2),
    (": planned -> copying", 4),
    (": copied -> verified", 5),
    (": updating_callers -> checking_for_calls", 4),
    (": cutting_over -> monitoring", 3),
    (": archiving -> deleting", 1),
    (": rolling_back -> ", 1),
)


@pytest.mark.e2e
@pytest.mark.timeout(900)
async def test_demo_ends_as_usual_although_the_app_is_killed(tmp_path: Path) -> None:
    async with DemoRun(DemoOptions(folder=tmp_path / "demo")) as demo:
        scenario = asyncio.create_task(demo.play())
        counts, kills = Counter[str](), 0
        log = LogReader(demo.stack.locate_log("app"))

        for text, times in POINTS:
            while not scenario.done() and counts[text] < times:
                await asyncio.sleep(0.02)
                for line in log.read_new_lines():
                    counts.update(text for text, _ in POINTS if text in line)
            if not scenario.done():
                await demo.stack.kill_app()
                kills += 1
                await demo.stack.start_app()
        outcome = await scenario

    assert kills == len(POINTS)
    assert outcome.failures == []
    assert demo.traffic.account.count_answered() == len(demo.traffic.account.calls) > 0

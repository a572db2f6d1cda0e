"""Run the commands `demo` and `up` of the local cloud."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from cmkflow.terminal import Terminal
from local_cloud.demo.another_terminal import format_directions
from local_cloud.demo.progress import DemoProgress
from local_cloud.demo.report import Report, print_summary, read_documented_report, write_reports
from local_cloud.demo.run import DemoOptions, DemoRun
from local_cloud.demo.view import run_with_view
from local_cloud.stack import ROOT
from local_cloud.tenant.core.profiles import Profile

#: Each command and profile has a folder of its own: two can run at the same time, and starting
#: everything keeps the demo's report.
FOLDERS = {
    ("demo", Profile.DOCUMENTED): ROOT / "var" / "demo",
    ("demo", Profile.ADVERSARIAL): ROOT / "var" / "demo-adversarial",
    ("up", Profile.DOCUMENTED): ROOT / "var" / "up",
    ("up", Profile.ADVERSARIAL): ROOT / "var" / "up-adversarial",
}


async def play_demo(options: DemoOptions) -> int:
    """Play the demo and write its reports.

    Return 0 if no call was lost and each flow ended as expected.
    """
    console = Terminal()
    console.print("Starting the local cloud and the app …")
    async with DemoRun(options) as demo:
        progress: DemoProgress = demo.watcher.progress
        outcome = await run_with_view(console, progress, demo.play())
        report = Report(
            outcome=outcome,
            account=demo.traffic.account,
            meter=demo.meter,
            seconds=progress.seconds,
            notes=progress.notes,
            ended_at=datetime.now(UTC),
            profile=options.profile,
            documented=await asyncio.to_thread(
                read_documented_report, FOLDERS["demo", Profile.DOCUMENTED]
            ),
        )
    await asyncio.to_thread(write_reports, report, options.folder)
    print_summary(console, report)
    console.print(f"Reports: {options.folder / 'report.html'}, and .json", soft_wrap=True)
    return 0 if report.has_succeeded else 1


async def stay_up(options: DemoOptions) -> int:
    """Start the local cloud, the app and the traffic, print what to do next, and wait."""
    console = Terminal()
    console.print(
        "Starting the local cloud and the app from the beginning. "
        f"State and logs of an earlier run in {options.folder} are deleted …",
        soft_wrap=True,
    )
    async with DemoRun(replace(options, signs_in=True)) as demo:
        demo.start_traffic()
        console.print(format_directions(demo.stack), soft_wrap=True)
        while True:
            demo.stack.check()
            await asyncio.sleep(1)

"""`python -m local_cloud demo` plays the demo; `up` leaves everything running."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from local_cloud.demo.command import DEMO_FOLDER, play_demo, stay_up
from local_cloud.demo.run import DemoOptions
from local_cloud.stack import StackError


def main() -> int:
    """Run a command: 0 if all is well, 1 if the demo failed, 2 if nothing could be started."""
    parser = argparse.ArgumentParser(prog="python -m local_cloud", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"))
    parser.add_argument("--folder", type=Path, default=DEMO_FOLDER, help="for logs and reports")
    parser.add_argument("--flows", type=Path, action="append", help="exported flows to add")
    parser.add_argument("--hold", choices=("all",), help="the platform holds all of those back")
    arguments = parser.parse_args()
    options = DemoOptions(
        folder=arguments.folder,
        flows=tuple(arguments.flows or ()),
        hold_all=arguments.hold == "all",
    )
    work = play_demo if arguments.command == "demo" else stay_up
    try:
        return asyncio.run(_until_told(work(options)))
    except KeyboardInterrupt:
        return 130
    except StackError as error:
        print(f"local cloud: {error}", file=sys.stderr)
        return 2


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    """Let a signal end the work as Ctrl-C does, so that what was started is stopped."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


if __name__ == "__main__":
    sys.exit(main())

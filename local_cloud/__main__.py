"""Play the demo, run the local cloud until Ctrl-C, or apply a key in a running local cloud."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from cmkflow.terminal import echo
from local_cloud.apply_policy import (
    PolicyLinkError,
    choose_person,
    link,
    read_notifications,
    set_key_enabled,
)
from local_cloud.demo.command import FOLDERS, play_demo, stay_up
from local_cloud.demo.received_notifications import PEOPLE
from local_cloud.demo.run import DemoOptions
from local_cloud.stack import StackError
from local_cloud.tenant.core.profiles import Profile


def main() -> int:
    """Run a command. Return 0 for success, 1 if the demo failed, 2 after an error, 130 after
    Ctrl-C.
    """
    arguments = _build_parser().parse_args()
    try:
        if arguments.command == "link":
            link(arguments.environment, arguments.policy)
            echo("The key is being applied. The app will notice: cmkflow remediation list")
            return 0
        if arguments.command in ("revoke", "restore"):
            is_enabled = arguments.command == "restore"
            set_key_enabled(arguments.vault, arguments.key, is_enabled=is_enabled)
            echo(f"The key is {'enabled' if is_enabled else 'disabled'}. See: cmkflow status")
            return 0
        if arguments.command == "person":
            choose_person(arguments.upn)
            echo(f"{arguments.upn} enters the next code. Sign in: cmkflow login --device-code")
            return 0
        if arguments.command == "notifications":
            for one in read_notifications():
                again = " (again: its answer was lost)" if one["is_repeated"] else ""
                echo(f"{one['at'][11:19]} UTC  {PEOPLE[one['receiver']]}: {one['title']}{again}")
            return 0
        profile = Profile(arguments.profile)
        options = DemoOptions(
            folder=arguments.folder or FOLDERS[arguments.command, profile],
            profile=profile,
            flows=tuple(arguments.flows or ()),
            hold_all=arguments.hold == "all",
        )
        work = play_demo if arguments.command == "demo" else stay_up
        return asyncio.run(_run_until_signal(work(options)))
    except KeyboardInterrupt:
        return 130
    except (StackError, PolicyLinkError) as error:
        echo(f"local cloud: {error}", err=True)
        return 2


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("demo", "play the demo and judge it"), ("up", "start all and stay")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--folder", type=Path, help="for logs and reports")
        command.add_argument(
            "--profile",
            choices=tuple(Profile),
            default=Profile.DOCUMENTED,
            help="the platform as it is documented, or an adversarial one",
        )
        command.add_argument("--flows", type=Path, action="append", help="exported flows to add")
        command.add_argument("--hold", choices=("all",), help="the platform holds back all those")
    command = commands.add_parser("link", help="apply a key to an environment of what is up")
    command.add_argument("environment", help="its id")
    command.add_argument("policy", help="id of the enterprise policy with the key")
    for name, text in (("revoke", "disable a key"), ("restore", "enable it again")):
        command = commands.add_parser(name, help=text)
        command.add_argument("vault", help="name of its vault")
        command.add_argument("key", help="its name")
    command = commands.add_parser("person", help="choose who signs in by device code")
    command.add_argument("upn", help="such as approver@contoso.example")
    commands.add_parser("notifications", help="list the notifications that people received")
    return parser


async def _run_until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run the work.

    SIGTERM and SIGHUP end it like Ctrl-C, so that all started processes are stopped.
    """
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


if __name__ == "__main__":
    sys.exit(main())

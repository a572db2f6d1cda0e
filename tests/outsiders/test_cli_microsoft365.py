"""CLI for Microsoft 365, as npm brings it: it signs in as a person and uses the flow service.

It knows the global hosts only, and follows every link that an answer has.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.outsiders.documented import hold_document_to
from tests.outsiders.outsiders import INSTALLED, Told, World, needs_outsiders, outsiders_world
from tests.outsiders.outsiders_tenant import (
    DEFAULT,
    DIGEST,
    ENVIRONMENT,
    MAX,
    NIGHTLY,
    ORDERS,
    TENANT_ID,
)

PACKAGE = INSTALLED / "node_modules" / "@pnp" / "cli-microsoft365"
#: What stands for an id in a command, in the table below and in the document.
IDS = {
    "ENVIRONMENT": ENVIRONMENT,
    "TENANT": TENANT_ID,
    "APP": "31359c7f-bd7e-475c-86db-fdb8c937548e",
    "ORDERS": ORDERS,
    "NIGHTLY": NIGHTLY,
    "DIGEST": DIGEST,
    "MAX": MAX,
    "NOBODY": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A command that must work, and what its answer has to show, in words for the document."""

    command: str
    answer: str
    #: The same out of what the command printed.
    seen: Callable[[Any], str]


def names(items: list[dict[str, Any]]) -> str:
    """Return the display names of a list in order."""
    return ", ".join(sorted(each["properties"]["displayName"] for each in items)) or "none"


def nothing(printed: Any) -> str:
    """Return `done` for a command that prints nothing."""
    assert printed is None
    return "done"


def member(*path: str) -> Callable[[Any], str]:
    """Return what reads one member of an answer."""

    def read(printed: Any) -> str:
        for name in path:
            printed = printed[name]
        return str(printed)

    return read


CALLS = (
    Call("login --authType deviceCode --appId APP --tenant TENANT", "done", lambda _: "done"),
    Call("status", "ada@contoso.example", member("connectedAs")),
    Call("flow environment list", "Contoso (default), Contoso Prod", names),
    Call("flow environment get --name ENVIRONMENT", ENVIRONMENT, member("name")),
    Call("flow environment get --default", DEFAULT, member("name")),
    Call("pp environment list", "Contoso (default), Contoso Prod", names),
    Call("pp environment list --asAdmin", "Contoso (default), Contoso Prod", names),
    Call("pp environment get --name ENVIRONMENT", ENVIRONMENT, member("name")),
    Call("pp environment get --name ENVIRONMENT --asAdmin", ENVIRONMENT, member("name")),
    Call("pa environment list", "Contoso (default), Contoso Prod", names),
)


async def do(world: World, command: str) -> Told:
    """Run one command, with ids in place of what stands for them."""
    words = [IDS.get(word, word) for word in command.split()]
    return await world.run(
        INSTALLED / "node_modules" / ".bin" / "m365", *words, CLIMICROSOFT365_NOUPDATE="1", CI="1"
    )


@needs_outsiders
async def test_every_command_of_the_table_works(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """In this order, on one tenant."""
    rows = []
    async with outsiders_world(tmp_path) as world:
        await do(world, "cli config set --key disableTelemetry --value true")
        for call in CALLS:
            told = await do(world, call.command)
            seen = "fails"
            with subtests.test(call.command):
                assert told.code == 0, told.errors
                seen = call.seen(json.loads(told.output) if told.output[:1] in "[{" else None)
                assert seen == call.answer
            rows.append((call.command, seen))
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    hold_document_to("CLI for Microsoft 365", f"`@pnp/cli-microsoft365` {version}", rows)

"""Test CLI for Microsoft 365 from npm, which signs in as a person and uses the flow service.

It knows the global hosts only, and follows every link that an answer has.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.third_party_clients.documented import compare_answers
from tests.third_party_clients.installed_clients import (
    INSTALLED,
    Told,
    World,
    needs_third_party_clients,
    third_party_world,
)
from tests.third_party_clients.third_party_tenant import (
    DIGEST,
    ENVIRONMENT,
    MAX,
    NIGHTLY,
    ORDERS,
    PRIVATE,
    TENANT_ID,
)

SCRIPT = Path(__file__).with_name("cli_microsoft365.mjs")
MODULES = INSTALLED / "node_modules"
#: What stands for an id in a command, in the table below and in the document.
IDS = {
    "ENVIRONMENT": ENVIRONMENT,
    "TENANT": TENANT_ID,
    "APP": "31359c7f-bd7e-475c-86db-fdb8c937548e",
    "ORDERS": ORDERS,
    "NIGHTLY": NIGHTLY,
    "DIGEST": DIGEST,
    "PRIVATE": PRIVATE,
    "MAX": MAX,
    "NOBODY": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A command that must work, and what its answer must show, in words for the document."""

    command: str
    answer: str
    #: The same out of what the command printed.
    seen: Callable[[Told], str]


def printed(told: Told) -> Any:
    """Return the output of a command that did not fail, or None."""
    assert told.code == 0, told.errors
    return json.loads(told.output) if told.output.strip() else None


def done(told: Told) -> str:
    """Return that a command did not fail."""
    assert told.code == 0, told.errors
    return "done"


def rejected(words: str) -> tuple[str, Callable[[Told], str]]:
    """Return the answer of a command that must fail with these words."""
    answer = f"rejected: {words} …"

    def read(told: Told) -> str:
        assert told.code == 1
        assert words in told.errors, told.errors
        return answer

    return answer, read


def names(told: Told) -> str:
    """Return the display names of a list in order."""
    return ", ".join(sorted(each["properties"]["displayName"] for each in printed(told)))


def member(*path: str) -> Callable[[Told], str]:
    """Return a function that shows one member of an answer."""

    def read(told: Told) -> str:
        answer = printed(told)
        for name in path:
            answer = answer[name]
        return str(answer)

    return read


display_name = member("properties", "displayName")


def statuses(told: Told) -> str:
    """Return the statuses of a list of runs."""
    return ", ".join(each["properties"]["status"] for each in printed(told)) or "none"


def actions(told: Told) -> str:
    """Return the statuses of the actions of a run."""
    found = printed(told)["actions"]
    return ", ".join(f"{name}: {action['status']}" for name, action in found.items())


def roles(told: Told) -> str:
    """Return the roles for a flow."""
    return ", ".join(sorted(each["properties"]["roleName"] for each in printed(told)))


def solutions(told: Told) -> str:
    """Return solutions with their publishers."""
    return ", ".join(
        f"{each['uniquename']} of {each['publisherid']['friendlyname']}" for each in printed(told)
    )


FLOW = "--environmentName ENVIRONMENT --name"
RUN = "--environmentName ENVIRONMENT --flowName ORDERS"
OWNERS = "--environmentName ENVIRONMENT --flowName NIGHTLY"
CALLS = (
    Call("login --authType deviceCode --appId APP --tenant TENANT", "done", done),
    Call("status", "ada@contoso.example", member("connectedAs")),
    Call("flow environment list", "Contoso (default), Contoso Prod", names),
    Call("flow environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("flow environment get --default", "Contoso (default)", display_name),
    Call("pp environment list", "Contoso (default), Contoso Prod", names),
    Call("pp environment list --asAdmin", "Contoso (default), Contoso Prod", names),
    Call("pp environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("pp environment get --name ENVIRONMENT --asAdmin", "Contoso Prod", display_name),
    Call("pp environment get --default", "Contoso (default)", display_name),
    Call("pa environment list", "Contoso (default), Contoso Prod", names),
    Call("pa environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("flow list --environmentName ENVIRONMENT", "Nightly, Team digest", names),
    Call(
        "flow list --environmentName ENVIRONMENT --withSolutions",
        "Nightly, Receive order, Team digest",
        names,
    ),
    Call("flow list --environmentName ENVIRONMENT --sharingStatus personal", "Nightly", names),
    Call(
        "flow list --environmentName ENVIRONMENT --sharingStatus sharedWithMe",
        "Mails of Max, Team digest",
        names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --sharingStatus all --withSolutions",
        "Mails of Max, Nightly, Receive order, Team digest",
        names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --asAdmin",
        "Mails of Max, Nightly, Private of Max, Team digest",
        names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --asAdmin --withSolutions",
        "Mails of Max, Nightly, Private of Max, Receive order, Team digest",
        names,
    ),
    Call(f"flow get {FLOW} ORDERS", "Receive order", member("displayName")),
    Call(f"flow get {FLOW} ORDERS --asAdmin", "Request-Http", member("triggers")),
    Call(f"flow get {FLOW} NOBODY --asAdmin", *rejected("Could not find flow")),
    Call(f"flow get {FLOW} NOBODY", *rejected("does not have permission for connection")),
    Call(f"flow get {FLOW} PRIVATE", *rejected("does not have permission for connection")),
    Call("flow list --environmentName NOBODY", *rejected("Access to the environment")),
    Call(f"flow run list {RUN}", "Succeeded", statuses),
    Call(f"flow run list {RUN} --asAdmin", "Succeeded", statuses),
    Call(f"flow run list {RUN} --status Failed", "none", statuses),
    Call(f"flow run get {RUN} --name RUN", "manual", member("triggerName")),
    Call(f"flow run get {RUN} --name RUN --withActions", "Compose: Succeeded", actions),
    Call(f"flow run resubmit {RUN} --name RUN --force", "done", done),
    Call(f"flow run cancel {RUN} --name RUN --force", "done", done),
    Call(f"flow owner ensure {OWNERS} --userId MAX --roleName CanEdit", "done", done),
    Call(f"flow owner list {OWNERS}", "CanEdit, Owner", roles),
    Call(f"flow owner remove {OWNERS} --userId MAX --force", "done", done),
    Call(f"flow owner list {OWNERS} --asAdmin", "Owner", roles),
    Call(f"flow disable {FLOW} NIGHTLY", "done", done),
    Call(f"flow get {FLOW} NIGHTLY", "Stopped", member("properties", "state")),
    Call(f"flow enable {FLOW} NIGHTLY --asAdmin", "done", done),
    Call(f"flow get {FLOW} NIGHTLY", "Started", member("properties", "state")),
    Call(f"flow export {FLOW} NIGHTLY --format json --path FILE.json", "done", done),
    Call(f"flow export {FLOW} NIGHTLY --path FILE.zip", "done", done),
    Call(f"flow remove {FLOW} DIGEST --force", "done", done),
    Call("flow recyclebinitem list --environmentName ENVIRONMENT", "Team digest", names),
    Call(
        "flow recyclebinitem restore --environmentName ENVIRONMENT --flowName DIGEST",
        "done",
        done,
    ),
    Call(f"flow get {FLOW} DIGEST", "Stopped", member("properties", "state")),
    Call(
        "pp solution list --environmentName ENVIRONMENT", "Orders of Default Publisher", solutions
    ),
    Call(
        "pp solution get --environmentName ENVIRONMENT --name Orders --asAdmin",
        "Default Publisher",
        member("publisherid", "friendlyname"),
    ),
    Call("pp managementapp list", "1", lambda told: str(len(printed(told)))),
)


async def do_all(world: World) -> list[Told]:
    """Run every command with real ids for its placeholders, the first one alone."""
    asked, told = world.folder / "asked.json", world.folder / "told.json"
    ids = {**IDS, "RUN": world.first_run}
    login, *others = CALLS
    asked.write_text(json.dumps([_parsed(call.command, ids) for call in others]))
    environment = {"CLIMICROSOFT365_NOUPDATE": "1", "CI": "1"}
    for command in ("cli config set --key disableTelemetry --value true", login.command):
        words = [ids.get(word, word) for word in command.split()]
        signed_in = await world.run(MODULES / ".bin" / "m365", *words, **environment)
    await world.run("node", SCRIPT, MODULES, asked, told, **environment)
    return [
        signed_in,
        *(
            Told(code=1 if each["errors"] else 0, output=each["output"], errors=each["errors"])
            for each in json.loads(told.read_text())
        ),
    ]


def _parsed(command: str, ids: dict[str, str]) -> tuple[str, dict[str, str | bool]]:
    """Split a command line into the command's name and its options; a flag is true."""
    name, *options = command.split(" --")
    pairs = (option.partition(" ") for option in options)
    return name, {key: ids.get(value, value) or True for key, _, value in pairs}


@needs_third_party_clients
async def test_every_command_of_the_table_works(subtests: pytest.Subtests) -> None:
    """The commands run in this order on one tenant; the app reads what they export."""
    rows = []
    async with third_party_world() as world:
        for call, told in zip(CALLS, await do_all(world), strict=True):
            seen = "fails"
            with subtests.test(call.command):
                seen = call.seen(told)
                assert seen == call.answer
            rows.append((call.command, seen))
        inspected = await world.run(sys.executable, "-m", "cmkflow", "inspect", "FILE.zip")
    assert inspected.code == 0, inspected.errors
    assert "Nightly" in inspected.output
    version = json.loads((MODULES / "@pnp" / "cli-microsoft365" / "package.json").read_text())
    compare_answers("CLI for Microsoft 365", f"`@pnp/cli-microsoft365` {version['version']}", rows)

"""Test CLI for Microsoft 365 from npm, signed in as a person, with the flow service.

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
    serve_third_party_world,
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
    """A command that must work, and the answer that the document shows for it."""

    command: str
    answer: str
    #: The same out of what the command printed.
    seen: Callable[[Told], str]


def parse_output(told: Told) -> Any:
    """Return the JSON output of a command, or None. Fail if the command failed."""
    assert told.code == 0, told.errors
    return json.loads(told.output) if told.output.strip() else None


def require_success(told: Told) -> str:
    """Return "done". Fail if the command failed."""
    assert told.code == 0, told.errors
    return "done"


def expect_rejection(words: str) -> tuple[str, Callable[[Told], str]]:
    """Return the answer for a command that must fail with these words, and its check."""
    answer = f"rejected: {words} …"

    def read(told: Told) -> str:
        assert told.code == 1
        assert words in told.errors, told.errors
        return answer

    return answer, read


def list_names(told: Told) -> str:
    """Return the display names of a list, sorted and joined."""
    return ", ".join(sorted(each["properties"]["displayName"] for each in parse_output(told)))


def build_member_reader(*path: str) -> Callable[[Told], str]:
    """Return a function that shows one member of an answer."""

    def read(told: Told) -> str:
        answer = parse_output(told)
        for name in path:
            answer = answer[name]
        return str(answer)

    return read


display_name = build_member_reader("properties", "displayName")


def list_statuses(told: Told) -> str:
    """Return the statuses of a list of runs."""
    return ", ".join(each["properties"]["status"] for each in parse_output(told)) or "none"


def list_action_statuses(told: Told) -> str:
    """Return the statuses of the actions of a run."""
    found = parse_output(told)["actions"]
    return ", ".join(f"{name}: {action['status']}" for name, action in found.items())


def list_roles(told: Told) -> str:
    """Return the role names of a flow's permissions, sorted and joined."""
    return ", ".join(sorted(each["properties"]["roleName"] for each in parse_output(told)))


def list_solutions(told: Told) -> str:
    """Return the solutions with their publishers."""
    return ", ".join(
        f"{each['uniquename']} of {each['publisherid']['friendlyname']}"
        for each in parse_output(told)
    )


FLOW = "--environmentName ENVIRONMENT --name"
RUN = "--environmentName ENVIRONMENT --flowName ORDERS"
OWNERS = "--environmentName ENVIRONMENT --flowName NIGHTLY"
CALLS = (
    Call("login --authType deviceCode --appId APP --tenant TENANT", "done", require_success),
    Call("status", "ada@contoso.example", build_member_reader("connectedAs")),
    Call("flow environment list", "Contoso (default), Contoso Prod", list_names),
    Call("flow environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("flow environment get --default", "Contoso (default)", display_name),
    Call("pp environment list", "Contoso (default), Contoso Prod", list_names),
    Call("pp environment list --asAdmin", "Contoso (default), Contoso Prod", list_names),
    Call("pp environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("pp environment get --name ENVIRONMENT --asAdmin", "Contoso Prod", display_name),
    Call("pp environment get --default", "Contoso (default)", display_name),
    Call("pa environment list", "Contoso (default), Contoso Prod", list_names),
    Call("pa environment get --name ENVIRONMENT", "Contoso Prod", display_name),
    Call("flow list --environmentName ENVIRONMENT", "Nightly, Team digest", list_names),
    Call(
        "flow list --environmentName ENVIRONMENT --withSolutions",
        "Nightly, Receive order, Team digest",
        list_names,
    ),
    Call("flow list --environmentName ENVIRONMENT --sharingStatus personal", "Nightly", list_names),
    Call(
        "flow list --environmentName ENVIRONMENT --sharingStatus sharedWithMe",
        "Mails of Max, Team digest",
        list_names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --sharingStatus all --withSolutions",
        "Mails of Max, Nightly, Receive order, Team digest",
        list_names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --asAdmin",
        "Mails of Max, Nightly, Private of Max, Team digest",
        list_names,
    ),
    Call(
        "flow list --environmentName ENVIRONMENT --asAdmin --withSolutions",
        "Mails of Max, Nightly, Private of Max, Receive order, Team digest",
        list_names,
    ),
    Call(f"flow get {FLOW} ORDERS", "Receive order", build_member_reader("displayName")),
    Call(f"flow get {FLOW} ORDERS --asAdmin", "Request-Http", build_member_reader("triggers")),
    Call(f"flow get {FLOW} NOBODY --asAdmin", *expect_rejection("Could not find flow")),
    Call(f"flow get {FLOW} NOBODY", *expect_rejection("does not have permission for connection")),
    Call(f"flow get {FLOW} PRIVATE", *expect_rejection("does not have permission for connection")),
    Call("flow list --environmentName NOBODY", *expect_rejection("Access to the environment")),
    Call(f"flow run list {RUN}", "Succeeded", list_statuses),
    Call(f"flow run list {RUN} --asAdmin", "Succeeded", list_statuses),
    Call(f"flow run list {RUN} --status Failed", "none", list_statuses),
    Call(f"flow run get {RUN} --name RUN", "manual", build_member_reader("triggerName")),
    Call(
        f"flow run get {RUN} --name RUN --withActions", "Compose: Succeeded", list_action_statuses
    ),
    Call(f"flow run resubmit {RUN} --name RUN --force", "done", require_success),
    Call(f"flow run cancel {RUN} --name RUN --force", "done", require_success),
    Call(f"flow owner ensure {OWNERS} --userId MAX --roleName CanEdit", "done", require_success),
    Call(f"flow owner list {OWNERS}", "CanEdit, Owner", list_roles),
    Call(f"flow owner remove {OWNERS} --userId MAX --force", "done", require_success),
    Call(f"flow owner list {OWNERS} --asAdmin", "Owner", list_roles),
    Call(f"flow disable {FLOW} NIGHTLY", "done", require_success),
    Call(f"flow get {FLOW} NIGHTLY", "Stopped", build_member_reader("properties", "state")),
    Call(f"flow enable {FLOW} NIGHTLY --asAdmin", "done", require_success),
    Call(f"flow get {FLOW} NIGHTLY", "Started", build_member_reader("properties", "state")),
    Call(f"flow export {FLOW} NIGHTLY --format json --path FILE.json", "done", require_success),
    Call(f"flow export {FLOW} NIGHTLY --path FILE.zip", "done", require_success),
    Call(f"flow remove {FLOW} DIGEST --force", "done", require_success),
    Call("flow recyclebinitem list --environmentName ENVIRONMENT", "Team digest", list_names),
    Call(
        "flow recyclebinitem restore --environmentName ENVIRONMENT --flowName DIGEST",
        "done",
        require_success,
    ),
    Call(f"flow get {FLOW} DIGEST", "Stopped", build_member_reader("properties", "state")),
    Call(
        "pp solution list --environmentName ENVIRONMENT",
        "Orders of Default Publisher",
        list_solutions,
    ),
    Call(
        "pp solution get --environmentName ENVIRONMENT --name Orders --asAdmin",
        "Default Publisher",
        build_member_reader("publisherid", "friendlyname"),
    ),
    Call("pp managementapp list", "1", lambda told: str(len(parse_output(told)))),
)


async def run_all(world: World) -> list[Told]:
    """Run every command with real ids for its placeholders, and return their outputs."""
    asked, told = world.folder / "asked.json", world.folder / "told.json"
    ids = {**IDS, "RUN": world.first_run}
    login, *others = CALLS
    asked.write_text(json.dumps([_parse_command(call.command, ids) for call in others]))
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


def _parse_command(command: str, ids: dict[str, str]) -> tuple[str, dict[str, str | bool]]:
    """Return a command's name and its options; a flag is True."""
    name, *options = command.split(" --")
    pairs = (option.partition(" ") for option in options)
    return name, {key: ids.get(value, value) or True for key, _, value in pairs}


@needs_third_party_clients
async def test_every_command_of_the_table_works(subtests: pytest.Subtests) -> None:
    """The commands run in this order on one tenant.

    `cmkflow inspect` reads the file they export.
    """
    rows = []
    async with serve_third_party_world() as world:
        for call, told in zip(CALLS, await run_all(world), strict=True):
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

"""Test the CLI for Microsoft 365 from npm with the local tenant's flow service.

This client uses only the global hosts, and follows every link in an answer.
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
    ProcessOutput,
    World,
    needs_third_party_clients,
    serve_third_party_world,
)
from tests.third_party_clients.third_party_tenant import (
    CLI_CLIENT,
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
    "APP": CLI_CLIENT,
    "ORDERS": ORDERS,
    "NIGHTLY": NIGHTLY,
    "DIGEST": DIGEST,
    "PRIVATE": PRIVATE,
    "MAX": MAX,
    "NOBODY": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A command of the CLI, and the answer that is recorded for it."""

    command: str
    answer: str
    #: The same out of what the command printed.
    seen: Callable[[ProcessOutput], str]


def parse_output(output: ProcessOutput) -> Any:
    """Return the JSON that a command has printed, or None. Fails if the command has failed."""
    assert output.code == 0, output.stderr
    return json.loads(output.stdout) if output.stdout.strip() else None


def require_success(output: ProcessOutput) -> str:
    """Return "done". Fails if the command has failed."""
    assert output.code == 0, output.stderr
    return "done"


def expect_rejection(words: str) -> tuple[str, Callable[[ProcessOutput], str]]:
    """Return the recorded answer of a command that must fail with these words, and a function that
    checks the output.
    """
    answer = f"rejected: {words} …"

    def read(output: ProcessOutput) -> str:
        assert output.code == 1
        assert words in output.stderr, output.stderr
        return answer

    return answer, read


def list_names(output: ProcessOutput) -> str:
    return ", ".join(sorted(each["properties"]["displayName"] for each in parse_output(output)))


def build_member_reader(*path: str) -> Callable[[ProcessOutput], str]:
    """Return a function that returns one member of a printed document as a text."""

    def read(output: ProcessOutput) -> str:
        answer = parse_output(output)
        for name in path:
            answer = answer[name]
        return str(answer)

    return read


display_name = build_member_reader("properties", "displayName")


def list_statuses(output: ProcessOutput) -> str:
    return ", ".join(each["properties"]["status"] for each in parse_output(output)) or "none"


def list_action_statuses(output: ProcessOutput) -> str:
    found = parse_output(output)["actions"]
    return ", ".join(f"{name}: {action['status']}" for name, action in found.items())


def list_roles(output: ProcessOutput) -> str:
    return ", ".join(sorted(each["properties"]["roleName"] for each in parse_output(output)))


def list_solutions(output: ProcessOutput) -> str:
    return ", ".join(
        f"{each['uniquename']} of {each['publisherid']['friendlyname']}"
        for each in parse_output(output)
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
    Call("pp managementapp list", "1", lambda output: str(len(parse_output(output)))),
)


async def run_all(world: World) -> list[ProcessOutput]:
    """Run every command with real ids for its placeholders, and return their outputs."""
    asked, output = world.folder / "asked.json", world.folder / "output.json"
    ids = {**IDS, "RUN": world.first_run}
    login, *others = CALLS
    asked.write_text(json.dumps([_parse_command(call.command, ids) for call in others]))
    environment = {"CLIMICROSOFT365_NOUPDATE": "1", "CI": "1"}
    for command in ("cli config set --key disableTelemetry --value true", login.command):
        words = [ids.get(word, word) for word in command.split()]
        signed_in = await world.run(MODULES / ".bin" / "m365", *words, **environment)
    await world.run("node", SCRIPT, MODULES, asked, output, **environment)
    return [
        signed_in,
        *(
            ProcessOutput(
                code=1 if each["errors"] else 0, stdout=each["output"], stderr=each["errors"]
            )
            for each in json.loads(output.read_text())
        ),
    ]


def _parse_command(command: str, ids: dict[str, str]) -> tuple[str, dict[str, str | bool]]:
    """Return the name of a command, and its options. The value of a flag is True."""
    name, *options = command.split(" --")
    pairs = (option.partition(" ") for option in options)
    return name, {key: ids.get(value, value) or True for key, _, value in pairs}


@needs_third_party_clients
async def test_every_command_of_the_table_works(subtests: pytest.Subtests) -> None:
    rows = []
    async with serve_third_party_world() as world:
        for call, output in zip(CALLS, await run_all(world), strict=True):
            seen = "fails"
            with subtests.test(call.command):
                seen = call.seen(output)
                assert seen == call.answer
            rows.append((call.command, seen))
        inspected = await world.run(sys.executable, "-m", "cmkflow", "inspect", "FILE.zip")
    assert inspected.code == 0, inspected.stderr
    assert "Nightly" in inspected.stdout
    version = json.loads((MODULES / "@pnp" / "cli-microsoft365" / "package.json").read_text())
    compare_answers("CLI for Microsoft 365", f"`@pnp/cli-microsoft365` {version['version']}", rows)

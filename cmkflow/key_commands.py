"""`cmkflow key`: whether keys are fit to protect environments, before a policy and after."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.finding_text import finding_text
from cmkflow.listing import facts

app = typer.Typer(no_args_is_help=True, help="Keys that protect environments.")


@app.callback()
def describe() -> None:
    """Keys that protect environments."""


def _shown(answer: Any) -> RenderableType:
    if not answer["items"]:
        return Text("No watched subscription has an encryption policy: name --vault and --key.")
    return Group(*(line for one in answer["items"] for line in _key_lines(one)))


def _key_lines(one: Any) -> Iterator[RenderableType]:
    yield facts(
        {
            "Key": f"{one['key_name']} of {one['vault_id'].rpartition('/')[2]}",
            "Policy": one["policy_name"] or "none names it yet",
            "Environments": ", ".join(one["environments"]),
            "In short": one["level"],
        }
    )
    for finding in one["findings"]:
        yield finding_text(finding["code"], finding)
    if one["policy_replacement_steps"]:
        yield Text("To follow the key's newest version (nothing of this is done by the app)")
    for number, step in enumerate(one["policy_replacement_steps"], start=1):
        yield Text(f"{number}. {step}")
    yield Text()


@api_command(app, "check", show=_shown)
def check(
    api: ApiClient,
    vault: Annotated[
        str | None, typer.Option("--vault", help="Name or Azure id of a vault; with --key.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Name of a key in it, with or without a policy.")
    ] = None,
) -> object:
    """Check the keys of all policies, or one key; nothing is written to them.

    What `cmkflow health` tells of keys is brought up to date.
    """
    named = {"vault": vault, "key": key}
    body = {name: value for name, value in named.items() if value is not None}
    return api.send(ApiCall(method="POST", path=("keys", "check"), body=body))

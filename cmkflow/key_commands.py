"""`cmkflow key`: check keys before and after a policy is applied."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Facts
from cmkflow.paragraphs import format_finding

app = typer.Typer(no_args_is_help=True, help="Check the keys that protect environments.")


def _format_key_checks(answer: Any) -> RenderableType:
    if not answer["items"]:
        return Text("No watched subscription has an enterprise policy. Use --vault and --key.")
    return Group(*(line for one in answer["items"] for line in _format_key_check(one)))


def _format_key_check(one: Any) -> Iterator[RenderableType]:
    yield Facts(
        {
            "Key": f"{one['key_name']} of {one['vault_id'].rpartition('/')[2]}",
            "Policy": one["policy_name"] or "none yet",
            "Environments": ", ".join(one["environments"]),
            "Result": one["level"],
        }
    )
    for finding in one["findings"]:
        yield format_finding(finding["code"], finding)
    if one["policy_replacement_steps"]:
        yield Text(
            "Steps to a policy that follows the newest key version (the app does none of them)"
        )
    for number, step in enumerate(one["policy_replacement_steps"], start=1):
        yield Text(f"{number}. {step}")
    yield Text()


@api_command(app, "check", show=_format_key_checks)
def check_keys(
    api: ApiClient,
    vault: Annotated[
        str | None,
        typer.Option("--vault", help="Name or Azure resource id of a key vault. Needs --key."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Name of a key in the vault. A policy is not needed."),
    ] = None,
) -> object:
    """Check the keys of all policies, or one key. Writes nothing to keys or vaults.

    Also updates the key alerts that `cmkflow health` shows.

    Examples:
        cmkflow key check
        cmkflow key check --vault contoso-vault --key contoso-key
    """
    named = {"vault": vault, "key": key}
    body = {name: value for name, value in named.items() if value is not None}
    return api.send(ApiCall(method="POST", path=("keys", "check"), body=body))

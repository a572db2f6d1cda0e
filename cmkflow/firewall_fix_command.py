"""`cmkflow network fix`: what closes a gap; make that change, or take it back."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.firewall_fix_text import FixLanguage, repair_text
from cmkflow.listing import table
from cmkflow.names import InEnvironment
from cmkflow.remediation_commands import Yes
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm
from cmkflow.timestamps import minute

_PATH = ("network", "firewall-fixes")


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    api_command(app, "fix", show=_shown)(fix)


def fix(
    api: ApiClient,
    by: Name,
    resource: Annotated[
        str | None,
        typer.Argument(help="Gap, resource id or name; left out: each gap that holds flows up."),
    ] = None,
    environment: InEnvironment = None,
    language: Annotated[
        FixLanguage, typer.Option("--language", help="Language that the change is shown in.")
    ] = FixLanguage.AZURE_CLI,
    apply: Annotated[bool, typer.Option("--apply", help="Let the app make the change.")] = False,
    revert: Annotated[
        bool, typer.Option("--revert", help="Revert the app's change, and nothing else.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --revert: although flows call through it.")
    ] = False,
    yes: Yes = False,
) -> object:
    """Show the smallest change that closes a gap; with --apply the app makes it, once asked."""
    if apply and revert:
        raise ApiError("Name --apply or --revert, not both.")
    if (apply or revert) and not resource:
        raise ApiError("Name the resource that is to be changed.")
    shown = ApiCall(
        method="GET", path=_PATH, query={"resource": resource, "environment": environment}
    )
    if revert:
        if not yes:
            confirm(f"Take what the app put into {resource} out again?")
        body = {"resource": resource, "by": by, "force": force}
        return api.send(ApiCall(method="POST", path=(*_PATH, "revert"), body=body))
    if not apply:
        return {**_as_object(api.send(shown)), "language": language}
    if not yes:
        answer = {**_as_object(api.send(shown)), "language": language, "applied": []}
        Terminal(stderr=True).print(_shown(answer), crop=False)
        confirm("Make this change?")
    body = {"resource": resource, "by": by}
    if environment:
        body["environment"] = environment
    return api.send(ApiCall(method="POST", path=_PATH, body=body))


def _as_object(answer: Any) -> dict[str, Any]:
    return dict(answer)


def _shown(answer: Any) -> RenderableType:
    """Return changes as text, records as a table: which of them is there tells the question."""
    if "language" not in answer:
        return _records(answer["items"])
    language = FixLanguage(answer["language"])
    parts: list[RenderableType] = []
    for one in answer["items"]:
        # Nowhere broken: it is pasted into a shell, or a file.
        text = Text(repair_text(one, language), no_wrap=True, overflow="ignore")
        parts += [text, Text()]
    if not parts:
        parts.append(Text("No gap holds up a flow."))
    if answer["applied"]:
        parts.append(_records(answer["applied"]))
    return Group(*parts)


def _records(records: Any) -> RenderableType:
    rows = [
        (
            one["firewall"],
            one["state"],
            str(len(one["entries"])),
            one["resource_id"],
            one["by"],
            minute(one["at"]),
        )
        for one in records
    ]
    return table(("Firewall", "State", "Entries", "In", "By", "At (UTC)"), rows)

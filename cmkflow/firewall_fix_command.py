"""`cmkflow network fix`: propose, apply and revert firewall fixes."""

from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import InEnvironment
from cmkflow.remediation_commands import Yes
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm
from cmkflow.timestamps import format_minute


class FixLanguage(StrEnum):
    """A language in which a firewall fix can be printed."""

    AZURE_CLI = "az"
    BICEP = "bicep"
    TERRAFORM = "terraform"


_MEMBERS = {
    FixLanguage.AZURE_CLI: ("azure_cli", "#"),
    FixLanguage.BICEP: ("bicep", "//"),
    FixLanguage.TERRAFORM: ("terraform", "#"),
}


def format_fix(fix: Any, language: FixLanguage) -> str:
    """Return the fix in a language, after comments about the issue and the fix."""
    member, comment = _MEMBERS[language]
    said = [fix["issue"], fix["unavailable_reason"] or fix["summary"], *fix["notes"]]
    lines = [f"{comment} {line}" for line in said if line]
    return "\n".join([*lines, fix[member].rstrip()]).rstrip()


_PATH = ("network", "firewall-fixes")


def add_firewall_fix_command(app: typer.Typer) -> None:
    api_command(app, "fix", show=_format_proposed_and_applied_fixes)(fix_firewalls)


def fix_firewalls(
    api: ApiClient,
    by: Name,
    resource: Annotated[
        str | None,
        typer.Argument(
            help=(
                "Name of a firewall issue, or the id or name of its resource. Default: all issues "
                "that affect flows."
            )
        ),
    ] = None,
    environment: InEnvironment = None,
    language: Annotated[
        FixLanguage, typer.Option("--language", help="Language of the fix.")
    ] = FixLanguage.AZURE_CLI,
    apply: Annotated[bool, typer.Option("--apply", help="Apply the fix.")] = False,
    revert: Annotated[
        bool, typer.Option("--revert", help="Revert a fix that the app applied.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Revert it even if flows need it.")
    ] = False,
    yes: Yes = False,
) -> object:
    """Show the smallest change that fixes a firewall issue, or apply or revert it.

    Examples:
        cmkflow network fix --environment Operations
        cmkflow network fix nsg-erp --apply
        cmkflow network fix nsg-erp --revert
    """
    if apply and revert:
        raise ApiError("Use --apply or --revert, not both.")
    if (apply or revert) and not resource:
        raise ApiError("Name the resource to change.")
    shown = ApiCall(
        method="GET", path=_PATH, query={"resource": resource, "environment": environment}
    )
    if revert:
        if not yes:
            confirm(f"Revert the fix that the app applied to {resource}?")
        body = {"resource": resource, "requested_by": by, "force": force}
        return api.send(ApiCall(method="POST", path=(*_PATH, "revert"), body=body))
    if not apply:
        return {**api.send(shown), "language": language}
    if not yes:
        answer = {**api.send(shown), "language": language, "applied": []}
        Terminal(stderr=True).print(_format_proposed_and_applied_fixes(answer), crop=False)
        confirm("Apply this fix?")
    body = {"resource": resource, "requested_by": by}
    if environment:
        body["environment"] = environment
    return api.send(ApiCall(method="POST", path=_PATH, body=body))


def _format_proposed_and_applied_fixes(answer: Any) -> RenderableType:
    if "language" not in answer:
        return Listing(columns=_RECORD_COLUMNS, items=answer["items"])
    language = FixLanguage(answer["language"])
    parts: list[RenderableType] = []
    for one in answer["items"]:
        # Not wrapped, because it is pasted into a shell or a file.
        text = Text(format_fix(one, language), no_wrap=True, overflow="ignore")
        parts += [text, Text()]
    if not parts:
        parts.append(Text("No firewall issue affects flows."))
    if answer["applied"]:
        parts.append(Listing(columns=_RECORD_COLUMNS, items=answer["applied"]))
    return Group(*parts)


_RECORD_COLUMNS = (
    Column("Firewall", itemgetter("firewall"), Kind.PATH),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("Entries", lambda one: len(one["entries"]), Kind.NUMBER),
    Column("In", itemgetter("resource_id"), Kind.PATH),
    Column("By", itemgetter("changed_by")),
    Column("At (UTC)", lambda one: format_minute(one["changed_at"]), Kind.WORD),
)

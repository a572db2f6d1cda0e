"""`cmkflow settings`: show how the app is configured, without secrets."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Listing
from cmkflow.paragraphs import Paragraph


class _Status(StrEnum):
    PROBLEM = "problem"
    CHANGED = "changed"
    DEFAULT = "default"


def add_settings_command(group: typer.Typer) -> None:

    @api_command(group, "settings", show=format_settings)
    def show_settings(
        api: ApiClient,
        status: Annotated[
            _Status | None, typer.Option(help="Show only settings with this status.")
        ] = None,
    ) -> object:
        """Show the settings of the app with their defaults. Of a secret, shows only whether it is
        set.

        Examples:
            cmkflow settings
            cmkflow settings --status changed -o csv
        """
        query = {"status": status.value if status else None}
        return api.send(ApiCall(method="GET", path=("settings",), query=query))


def format_settings(answer: Any) -> RenderableType:
    parts: list[RenderableType] = []
    for one in answer["findings"]:
        parts += [Paragraph(text=one["message"]), Paragraph(label="Fix", text=one["fix"], indent=4)]
    if parts:
        parts.append(Text())
    return Group(*parts, Listing(columns=_COLUMNS, items=answer["items"], note=_format_problem))


def _format_value(one: Any) -> str:
    if one["is_secret"] or one["problem"]:
        return "set" if one["is_set"] else "not set"
    return str(one["value"])


def _format_problem(one: Any) -> str:
    return " ".join(filter(None, (one["problem"], one["used_instead"], one["fix"])))


_COLUMNS = (
    Column("Setting", lambda one: one["name"]),
    Column("Status", lambda one: one["status"]),
    Column("Value", _format_value),
    Column("Default", lambda one: one["default"]),
)

"""`cmkflow network firewalls`: show the firewalls that do not allow all addresses of copies."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing


def add_network_firewalls_command(group: typer.Typer) -> None:

    @api_command(group, "firewalls", show=_format_firewalls)
    def list_firewalls(
        api: ApiClient,
        search: Annotated[
            str, typer.Option(help="Part of the name of a firewall, its kind or an environment.")
        ] = "",
    ) -> object:
        """List the firewalls that do not allow all addresses of copies, and how many flows each
        blocks.

        Shows what plans, blocked flows and the daily check have found. Reads no firewall.

        Examples:
            cmkflow network firewalls
            cmkflow network firewalls -o csv
        """
        path = ("network", "firewalls")
        return api.send(ApiCall(method="GET", path=path, query={"search": search or None}))


def _format_firewalls(answer: Any) -> RenderableType:
    parts: list[RenderableType] = []
    if answer["items"]:
        parts.append(Listing(columns=_FIREWALL, items=answer["items"]))
    elif answer["firewalls_read_at"]:
        parts.append(Text("No firewall is known to lack address ranges."))
    else:
        parts.append(Text("No firewall was read yet. Assessments and plans read them."))
    parts += [Text(f"Not known: {one['name']}") for one in answer["unknowns"]]
    return Group(*parts)


def _format_range_count(firewall: Any) -> str:
    number = len(firewall["missing_prefixes"])
    if not number:
        return "not known"
    return f"at least {number}" if firewall["has_more_prefixes"] else str(number)


_FIREWALL = (
    Column("Firewall", lambda one: one["name"]),
    Column("Kind", lambda one: one["kind"].replace("_", " ")),
    Column("Status", lambda one: one["status"]),
    Column("Missing ranges", _format_range_count),
    Column("Blocked flows", lambda one: one["blocked_count"], Kind.NUMBER),
    Column(
        "Environments",
        lambda one: ", ".join(
            each["environment_name"] or each["environment_id"] for each in one["environments"]
        ),
    ),
)

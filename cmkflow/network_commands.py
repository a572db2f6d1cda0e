"""`cmkflow network`: addresses that Microsoft publishes, and what lets them in.

`diff` and `check` need neither the app nor Azure.

Lists of service tags are files: https://www.microsoft.com/download/details.aspx?id=56519, or the
answer of Azure's discovery API.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.firewall_fix_command import register as register_fix
from cmkflow.listing import table
from cmkflow.names import InEnvironment, RemediationId
from cmkflow.network_called_hosts_command import show_called_hosts
from cmkflow.network_check_command import check
from cmkflow.output import LinesFormat, LinesOutput
from cmkflow.pager import NoPager, print_text
from cmkflow.service_tag_file import read_list
from cmkflow.terminal import echo
from cmkflow.timestamps import minute
from cmkflow.trigger_hosts_text import outgoing_text
from shared.domain.network.network_check import PROTECTED_TAG
from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTagList,
    changes,
)

app = typer.Typer(no_args_is_help=True, help="Addresses that firewalls have to let in.")
app.command("check")(check)
app.command("called-hosts")(show_called_hosts)
register_fix(app)


@app.callback()
def describe() -> None:
    """Addresses that firewalls have to let in."""


@app.command("diff")
def show_difference(
    before: Annotated[Path, typer.Option("--from", metavar="FILE", help="The earlier list.")],
    after: Annotated[Path, typer.Option("--to", metavar="FILE", help="The later list.")],
    tag: Annotated[str, typer.Option(help="Service tag to compare.")] = PROTECTED_TAG,
    output: LinesOutput = LinesFormat.TABLE,
    no_pager: NoPager = False,
) -> None:
    """Show which prefixes of a service tag were added and removed between two lists, by region."""
    old, new = read_list(before), read_list(after)
    try:
        found = _changes(old, new, tag)
    except ValueError as err:
        echo(f"{before}, {after}: {err}", err=True)
        raise typer.Exit(1) from None
    if output is LinesFormat.JSON:
        for one in found:
            echo(json.dumps(asdict(one)))
    else:
        heading = f"{tag}, from {_edition(old)} to {_edition(new)}: {_totals(found)}."
        rows = [
            (one.region or "in no region", "\n".join(one.added), "\n".join(one.removed))
            for one in found
        ]
        lines = [table(("Region", "Added", "Removed"), rows)] if rows else []
        print_text(Group(Text(heading), *lines), is_paged=not no_pager)


def _editions(answer: Any) -> RenderableType:
    """Return each edition of the list that changed something here, and the one that is in force."""
    if not answer["items"]:
        return Text("No list was looked at yet: the daily sweep does.")
    newest = answer["items"][0]
    lines: list[RenderableType] = [
        Text(
            f"List {newest['change_number']}, seen {minute(newest['seen'])}, "
            f"looked at {minute(newest['looked'])} UTC."
        )
    ]
    for one in answer["items"]:
        if one["changes"]:
            lines += [Text(), *_edition_lines(one)]
    return Group(*lines)


def _edition_lines(one: Any) -> Iterator[RenderableType]:
    is_open = " (open)" if one["code"] else ""
    heading = f"{minute(one['seen'])} UTC: list {one['before']} to {one['change_number']}{is_open}"
    yield Text(heading, style="bold")
    rows = [
        (
            f"{change['tag']}.{change['region']}",
            *map("\n".join, (change["added"], change["removed"])),
        )
        for change in one["changes"]
    ]
    yield table(("Tag and region", "Added", "Removed"), rows)
    for firewall in one["firewalls"]:
        missing = ", ".join(firewall["missing"])
        yield Text(f"! {firewall['name']} does not let in {missing} ({firewall['gap']})")
    for plan in one["plans"]:
        yield Text(f"  flows of {plan['remediation_id']} that call through them: {plan['flows']}")


@api_command(app, "tag-changes", show=_editions)
def show_tag_changes(
    api: ApiClient,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Let the app read the list now.")
    ] = False,
) -> object:
    """Show how the ranges in use changed, which firewalls lack the new ones, and whom that touches.

    The app looks once a day; it keeps what it saw for ninety days.
    """
    lists = ("network", "service-tag-lists")
    if refresh:
        return api.send(ApiCall(method="POST", path=(*lists, "refresh")))
    return api.send(ApiCall(method="GET", path=lists))


@api_command(app, "trigger-hosts", show=outgoing_text)
def show_trigger_hosts(
    api: ApiClient,
    remediation: RemediationId,
    environment: InEnvironment = None,
) -> object:
    """Write the message that asks for hosts which callers behind an allow-list have to reach."""
    path = ("remediations", remediation, "plan")
    answer = api.send(ApiCall(method="GET", path=path, query={"environment": environment}))
    plans = [
        {"environment_id": one["environment_job"]["environment_id"], "outgoing": one["outgoing"]}
        for one in answer["items"]
    ]
    return {"items": plans}


def _changes(old: ServiceTagList, new: ServiceTagList, tag: str) -> Sequence[AddressRangeChange]:
    if not any(one.find(tag) or one.regions(tag) for one in (old, new)):
        raise ValueError(f"no list holds the service tag {tag}")
    return changes(old, new, tag)


def _edition(tags: ServiceTagList) -> str:
    return f"list {tags.change_number}" if tags.change_number else "a list without a number"


def _totals(found: Sequence[AddressRangeChange]) -> str:
    added = sum(len(one.added) for one in found)
    removed = sum(len(one.removed) for one in found)
    return f"{added} added, {removed} removed" if found else "nothing changed"

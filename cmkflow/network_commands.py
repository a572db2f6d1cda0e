"""`cmkflow network`: show addresses that Microsoft publishes, and check the firewalls that must
allow them.

Files with service tag lists come from https://www.microsoft.com/download/details.aspx?id=56519, or
from Azure's service tag discovery API.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.firewall_fix_command import add_firewall_fix_command
from cmkflow.json_file import read_service_tag_list
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import InEnvironment, RemediationId
from cmkflow.network_called_hosts_command import show_called_hosts
from cmkflow.network_check_command import check_exported_firewalls
from cmkflow.network_firewalls_command import add_network_firewalls_command
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.terminal import echo
from cmkflow.timestamps import format_minute
from cmkflow.trigger_hosts_text import format_trigger_hosts
from shared.domain.network.network_check import PROTECTED_TAG
from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTagList,
    list_tag_changes,
)

app = typer.Typer(no_args_is_help=True, help="Firewalls, and the addresses that they must allow.")
app.command("check")(check_exported_firewalls)
app.command("called-hosts")(show_called_hosts)
add_firewall_fix_command(app)
add_network_firewalls_command(app)


@app.command("diff")
def show_service_tag_changes(
    before: Annotated[
        Path, typer.Option("--from", metavar="FILE", help="File with the earlier list.")
    ],
    after: Annotated[Path, typer.Option("--to", metavar="FILE", help="File with the later list.")],
    tag: Annotated[str, typer.Option(help="Service tag to compare.")] = PROTECTED_TAG,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
    no_pager: NoPager = False,
) -> None:
    """Show the address ranges of a service tag that were added and removed, by region.

    Examples:
        cmkflow network diff --from old.json --to new.json
    """
    printer = AnswerPrinter(output, query, no_pager=no_pager)
    old, new = read_service_tag_list(before), read_service_tag_list(after)
    try:
        found = _list_changes_of_known_tag(old, new, tag)
    except ValueError as err:
        echo(f"{before}, {after}: {err}", err=True)
        raise typer.Exit(1) from None
    items = [asdict(one) for one in found]
    printer.print(
        {"items": items}, lambda: _build_change_table(_REGION, items) if items else Text("")
    )
    lists = f"from {_format_list_name(old)} to {_format_list_name(new)}"
    echo(f"{tag}, {lists}: {_format_change_counts(found)}.", err=True)


def _build_change_table(name: Column, changes: Sequence[Any]) -> Listing:
    return Listing(columns=(name, *_COUNTS), items=changes, note=_format_ranges, is_full=True)


def _format_ranges(change: Any) -> str:
    signs = (("+", change["added"]), ("-", change["removed"]))
    return " ".join(f"{sign}{one}" for sign, ranges in signs for one in ranges)


_REGION = Column("Region", lambda one: one["region"] or "no region")
_TAG = Column("Tag and region", lambda one: f"{one['tag']}.{one['region']}")
_COUNTS = (
    Column("Added", lambda one: len(one["added"]), Kind.NUMBER),
    Column("Removed", lambda one: len(one["removed"]), Kind.NUMBER),
)


def _format_tag_changes(answer: Any) -> RenderableType:
    if not answer["items"]:
        return Text("The app has not read a service tag list yet. The daily check reads it.")
    newest = answer["items"][0]
    lines: list[RenderableType] = [
        Text(
            f"List {newest['change_number']}, first read {format_minute(newest['first_seen_at'])}, "
            f"last read {format_minute(newest['last_checked_at'])} UTC."
        )
    ]
    for one in answer["items"]:
        if one["changes"]:
            lines += [Text(), *_format_changes_of_version(one)]
    return Group(*lines)


def _format_changes_of_version(one: Any) -> Iterator[RenderableType]:
    is_open = " (open)" if one["reason_code"] else ""
    lists = f"{one['previous_change_number']} to {one['change_number']}"
    heading = f"{format_minute(one['first_seen_at'])} UTC: list {lists}{is_open}"
    yield Text(heading, style="bold")
    yield _build_change_table(_TAG, one["changes"])
    for firewall in one["affected_firewalls"]:
        missing = ", ".join(firewall["missing_prefixes"])
        yield Text(f"! {firewall['name']} does not allow {missing} ({firewall['issue']})")
    for affected in one["affected_remediations"]:
        count = affected["flow_count"]
        yield Text(f"  Affected flows of remediation {affected['remediation_id']}: {count}")


@api_command(app, "tag-changes", show=_format_tag_changes)
def show_tag_changes(
    api: ApiClient,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Let the app read Microsoft's list now.")
    ] = False,
) -> object:
    """Show how Microsoft's address ranges changed, and which firewalls and remediations this
    affects.

    The app reads Microsoft's list once a day. For 90 days, it keeps the changes in regions that you
    use.

    Examples:
        cmkflow network tag-changes --refresh
    """
    lists = ("network", "service-tag-lists")
    if refresh:
        return api.send(ApiCall(method="POST", path=(*lists, "refresh")))
    return api.send(ApiCall(method="GET", path=lists))


@api_command(app, "trigger-hosts", show=format_trigger_hosts)
def show_trigger_hosts(
    api: ApiClient,
    remediation: RemediationId,
    environment: InEnvironment = None,
) -> object:
    """Write a message that lists the trigger hosts which callers behind an allow list must
    reach.

    Examples:
        cmkflow network trigger-hosts 2dad424e
    """
    path = ("remediations", remediation, "plan")
    answer = api.send(ApiCall(method="GET", path=path, query={"environment": environment}))
    plans = [
        {
            "environment_id": one["environment_job"]["environment_id"],
            "trigger_hosts": one["trigger_hosts"],
        }
        for one in answer["items"]
    ]
    return {"items": plans}


def _list_changes_of_known_tag(
    old: ServiceTagList, new: ServiceTagList, tag: str
) -> Sequence[AddressRangeChange]:
    if not any(one.find(tag) or one.list_regions(tag) for one in (old, new)):
        raise ValueError(f"neither list contains the service tag {tag}")
    return list_tag_changes(old, new, tag)


def _format_list_name(tags: ServiceTagList) -> str:
    return f"list {tags.change_number}" if tags.change_number else "a list without a number"


def _format_change_counts(found: Sequence[AddressRangeChange]) -> str:
    added = sum(len(one.added) for one in found)
    removed = sum(len(one.removed) for one in found)
    return f"{added} added, {removed} removed" if found else "nothing changed"

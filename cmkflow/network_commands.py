"""`cmkflow network`: what Microsoft publishes about addresses, without the app and without Azure.

Lists of service tags are files: https://www.microsoft.com/download/details.aspx?id=56519, or the
answer of Azure's discovery API.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cmkflow.answer_tables import table
from cmkflow.network_check_command import check
from cmkflow.service_tag_file import read_list
from cmkflow.terminal import Terminal, echo
from shared.domain.network.coverage import PROTECTED_TAG
from shared.domain.network.service_tags import (
    RangeChange,
    ServiceTagList,
    changes,
)

app = typer.Typer(no_args_is_help=True, help="Addresses that firewalls have to let in.")
app.command("check")(check)


@app.callback()
def describe() -> None:
    """Addresses that firewalls have to let in."""


@app.command("diff")
def show_difference(
    before: Annotated[Path, typer.Option("--from", metavar="FILE", help="The earlier list.")],
    after: Annotated[Path, typer.Option("--to", metavar="FILE", help="The later list.")],
    tag: Annotated[str, typer.Option(help="Service tag to compare.")] = PROTECTED_TAG,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, of each region that changed.")
    ] = False,
) -> None:
    """Show which prefixes of a service tag were added and removed between two lists, by region."""
    old, new = read_list(before), read_list(after)
    try:
        found = _changes(old, new, tag)
    except ValueError as err:
        echo(f"{before}, {after}: {err}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        for one in found:
            echo(json.dumps(asdict(one)))
    else:
        heading = f"{tag}, from {_edition(old)} to {_edition(new)}: {_totals(found)}."
        rows = [
            (one.region or "in no region", "\n".join(one.added), "\n".join(one.removed))
            for one in found
        ]
        lines = [table(("Region", "Added", "Removed"), rows)] if rows else []
        Terminal().print(Group(Text(heading), *lines))


def _changes(old: ServiceTagList, new: ServiceTagList, tag: str) -> Sequence[RangeChange]:
    if not any(one.find(tag) or one.regions(tag) for one in (old, new)):
        raise ValueError(f"no list holds the service tag {tag}")
    return changes(old, new, tag)


def _edition(tags: ServiceTagList) -> str:
    return f"list {tags.change_number}" if tags.change_number else "a list without a number"


def _totals(found: Sequence[RangeChange]) -> str:
    added = sum(len(one.added) for one in found)
    removed = sum(len(one.removed) for one in found)
    return f"{added} added, {removed} removed" if found else "nothing changed"

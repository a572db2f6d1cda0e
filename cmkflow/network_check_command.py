"""`cmkflow network check`: judge firewalls of exported files, without the app and without Azure."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cmkflow.exported_resources import read_exported
from cmkflow.listing import table
from cmkflow.network_check import Row, check_network
from cmkflow.pager import NoPager, print_text
from cmkflow.repair_text import RepairLanguage, repair_text
from cmkflow.service_tag_file import read_list
from cmkflow.terminal import echo
from shared.domain.network.coverage import PROTECTED_TAG
from shared.domain.network.service_tags import ServiceTagList

_SHOWN = 3


def check(
    service_tags: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            envvar="CMK_SERVICE_TAGS_FILE",
            help="Microsoft's list of service tags.",
        ),
    ],
    rules: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Exported firewalls: a template, resources, recorded answers; or a folder.",
        ),
    ],
    region: Annotated[
        list[str] | None,
        typer.Option(help="Azure region (WestEurope); left out: the tag as a whole."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, of every resource.")
    ] = False,
    repair: Annotated[
        RepairLanguage | None,
        typer.Option(help="Write what closes each gap, too; with --json in every language."),
    ] = None,
    no_pager: NoPager = False,
) -> None:
    """Show which exported firewalls let the new addresses of flows in, and what is missing.

    Exits with 1 when a region is not in the list of service tags.
    """
    tags = read_list(service_tags)
    regions = [spelled(one, tags) for one in region or ()]
    exported = read_exported(rules)
    rows = asyncio.run(check_network(exported, tags, regions, with_repairs=repair is not None))
    if as_json:
        for row in rows:
            echo(json.dumps(row, default=asdict))
        return
    judged = [row for row in rows if row["verdict"]]
    unread = [row for row in rows if row["kind"] == "file"]
    titles = ("Firewall", "Kind", "Region", "Verdict", "Missing", "Why")
    found = {row["resource"]: one for row in rows if repair and (one := row.get("repair"))}
    texts = [
        Text(f"\n{repair_text(asdict(one), repair)}", no_wrap=True, overflow="ignore")
        for one in found.values()
        if repair
    ]
    judgement = Group(table(titles, map(_cells, judged + unread)), Text(_summary(rows)))
    print_text(Group(judgement, *texts), is_paged=not no_pager)


def spelled(region: str, tags: ServiceTagList) -> str:
    """Return a region as the list spells it; one that is not there ends the command."""
    known = tags.regions(PROTECTED_TAG)
    for one in known:
        if one.lower() == region.lower():
            return one
    echo(f"{PROTECTED_TAG} has no region {region}. It has {', '.join(known)}.", err=True)
    raise typer.Exit(1)


def _cells(row: Row) -> tuple[str, ...]:
    missing = row["missing"]
    more = f"\nand {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return (
        row["resource"],
        row["kind"],
        row["region"] or "",
        row["verdict"] or "",
        "\n".join(missing[:_SHOWN]) + more,
        row["reason"] or "",
    )


def _summary(rows: Sequence[Row]) -> str:
    count = Counter(row["verdict"] for row in rows)
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if verdict)
    return f"{verdicts or 'No firewall'}; {count[None]} other resources and files."

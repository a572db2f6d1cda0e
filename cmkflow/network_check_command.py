"""`cmkflow network check`: judge firewalls of exported files, without the app and without Azure."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cmkflow.api_client import ExitCode
from cmkflow.exported_resources import read_exported
from cmkflow.firewall_fix_text import FixLanguage, repair_text
from cmkflow.listing import table
from cmkflow.network_check import FirewallCheckRow, Question, check_network, is_gap
from cmkflow.output import LinesFormat, LinesOutput
from cmkflow.pager import NoPager, print_text
from cmkflow.service_tag_file import read_list
from cmkflow.terminal import echo
from shared.domain.network.network_check import PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import ServiceTagList

_SHOWN = 3
_IS_REQUIRED = {True: "yes", False: "no"}


class FailOn(StrEnum):
    """What ends the command with an exit code of its own."""

    GAP = "gap"


def check(
    service_tags: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            envvar="CMK_SERVICE_TAGS_FILE",
            help="Microsoft's list of service tags.",
        ),
    ],
    firewalls: Annotated[
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
    output: LinesOutput = LinesFormat.TABLE,
    also_required: Annotated[
        str,
        typer.Option(
            metavar="TAGS",
            envvar="CMK_ADDITIONAL_REQUIRED_TAGS",
            help="LogicApps, PowerPlatformInfra, or both with a comma: a gap without them, too.",
        ),
    ] = "",
    show_fix: Annotated[
        FixLanguage | None,
        typer.Option(help="Add the fix of each firewall issue; with -o json in every language."),
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="Exit with 6 unless every firewall is known to let them in."),
    ] = None,
    no_pager: NoPager = False,
) -> None:
    """Show which exported firewalls let the new addresses of flows in, and what is missing.

    Microsoft requires three service tags. Without PowerPlatformPlex there is a gap; the other two
    are reported. Exits with 1 when a region is not in the list of service tags.
    """
    tags = read_list(service_tags)
    question = Question(
        tags=tags,
        regions=[spelled(one, tags) for one in region or ()],
        also_required=_beside(also_required),
    )
    exported = read_exported(firewalls)
    rows = asyncio.run(check_network(exported, question, with_repairs=show_fix is not None))
    if output is LinesFormat.JSON:
        for row in rows:
            echo(json.dumps(row, default=asdict))
    else:
        _print(rows, show_fix, is_paged=not no_pager)
    if fail_on:
        _fail_on_gaps(rows)


def _print(rows: Sequence[FirewallCheckRow], repair: FixLanguage | None, *, is_paged: bool) -> None:
    judged = [row for row in rows if row["verdict"]]
    unread = [row for row in rows if row["kind"] == "file"]
    titles = ("Firewall", "Kind", "Region", "Tag", "Required", "Verdict", "Missing", "Why")
    found = {row["resource"]: one for row in rows if repair and (one := row.get("repair"))}
    texts = [
        Text(f"\n{repair_text(asdict(one), repair)}", no_wrap=True, overflow="ignore")
        for one in found.values()
        if repair
    ]
    judgement = Group(table(titles, map(_cells, judged + unread)), Text(_summary(rows)))
    print_text(Group(judgement, *texts), is_paged=is_paged)


def _fail_on_gaps(rows: Sequence[FirewallCheckRow]) -> None:
    """End the command where something is not known to be covered, or nothing was judged."""
    gaps = sum(map(is_gap, rows))
    unread = sum((row["reason"] or "").startswith(("no_file", "not_json")) for row in rows)
    if gaps or unread:
        echo(f"{gaps} gap(s), {unread} file(s) that could not be read.", err=True)
    elif not any(row["verdict"] for row in rows):
        echo("No firewall was found: check what --firewalls names.", err=True)
    else:
        return
    raise typer.Exit(ExitCode.FOUND)


def _beside(names: str) -> list[str]:
    """Return tags as the setting of the app names them; an unknown one ends the command."""
    tags = [one.strip() for one in names.split(",") if one.strip()]
    if unknown := [one for one in tags if one not in TAGS_BESIDE]:
        known = ", ".join(TAGS_BESIDE)
        raise typer.BadParameter(f"{', '.join(unknown)} is none of {known}.")
    return tags


def spelled(region: str, tags: ServiceTagList) -> str:
    """Return a region as the list spells it; one that is not there ends the command."""
    known = tags.regions(PROTECTED_TAG)
    for one in known:
        if one.lower() == region.lower():
            return one
    echo(f"{PROTECTED_TAG} has no region {region}. It has {', '.join(known)}.", err=True)
    raise typer.Exit(1)


def _cells(row: FirewallCheckRow) -> tuple[str, ...]:
    missing = row["missing"]
    more = f"\nand {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return (
        row["resource"],
        row["kind"],
        row["region"] or "",
        row["tag"] if row["verdict"] else "",
        _IS_REQUIRED[row["required"]] if row["verdict"] else "",
        row["verdict"] or "",
        "\n".join(missing[:_SHOWN]) + more,
        row["reason"] or "",
    )


def _summary(rows: Sequence[FirewallCheckRow]) -> str:
    """Return how often each tag has each verdict; what no kind reads counts with all of them."""
    tags = dict.fromkeys((row["tag"], row["required"]) for row in rows if row["verdict"])
    lines = []
    for tag, is_required in tags:
        count = Counter(row["verdict"] for row in rows if row["verdict"] and row["tag"] == tag)
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in count.items())
        lines.append(f"{tag} ({'required' if is_required else 'reported only'}): {verdicts}.")
    others = sum(row["verdict"] is None for row in rows)
    return "\n".join([*(lines or ["No firewall."]), f"{others} other resources and files."])

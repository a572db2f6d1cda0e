"""`cmkflow network check`: check firewalls in exported files, offline."""

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
from cmkflow.firewall_fix_text import FixLanguage, format_fix
from cmkflow.listing import table
from cmkflow.network_check import FirewallCheckRow, Question, check_network, is_firewall_issue
from cmkflow.output import LinesFormat, LinesOutput
from cmkflow.pager import NoPager, print_text
from cmkflow.run_archive_tables import number_of
from cmkflow.service_tag_file import read_list
from cmkflow.terminal import echo
from shared.domain.network.network_check import PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import ServiceTagList

_SHOWN = 3
_IS_REQUIRED = {True: "yes", False: "no"}


class FailOn(StrEnum):
    """Results for which the command ends with exit code 6."""

    GAP = "gap"


def check(
    service_tags: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            envvar="CMK_SERVICE_TAGS_FILE",
            help="File with Microsoft's service tag list.",
        ),
    ],
    firewalls: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help=(
                "File or folder with exported firewalls: templates, resources or recorded "
                "responses."
            ),
        ),
    ],
    region: Annotated[
        list[str] | None,
        typer.Option(help="Azure region, such as WestEurope. Default: the tag as a whole."),
    ] = None,
    output: LinesOutput = LinesFormat.TABLE,
    also_required: Annotated[
        str,
        typer.Option(
            metavar="TAGS",
            envvar="CMK_ADDITIONAL_REQUIRED_TAGS",
            help=(
                "Additional required tags: LogicApps, PowerPlatformInfra, or both, comma-separated."
            ),
        ),
    ] = "",
    show_fix: Annotated[
        FixLanguage | None,
        typer.Option(help="Add a fix for each issue. With -o json, in all languages."),
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="Exit with 6 unless all firewalls are known to allow the addresses."),
    ] = None,
    no_pager: NoPager = False,
) -> None:
    """Show which exported firewalls allow the new addresses of flows, and what is missing.

    Microsoft requires three service tags. If PowerPlatformPlex is missing, that is a firewall
    issue; the other two are only reported. Exits with 1 if a region is not in the service tag list.
    """
    tags = read_list(service_tags)
    question = Question(
        tags=tags,
        regions=[canonical_region(one, tags) for one in region or ()],
        also_required=_parse_tags(also_required),
    )
    exported = read_exported(firewalls)
    rows = asyncio.run(check_network(exported, question, with_fixes=show_fix is not None))
    if output is LinesFormat.JSON:
        for row in rows:
            echo(json.dumps(row, default=asdict))
    else:
        _print(rows, show_fix, is_paged=not no_pager)
    if fail_on:
        _fail_on_issues(rows)


def _print(
    rows: Sequence[FirewallCheckRow], language: FixLanguage | None, *, is_paged: bool
) -> None:
    checked = [row for row in rows if row["verdict"]]
    unread = [row for row in rows if row["kind"] == "file"]
    titles = ("Firewall", "Kind", "Region", "Tag", "Required", "Verdict", "Missing", "Why")
    found = {row["resource"]: one for row in rows if language and (one := row.get("fix"))}
    texts = [
        Text(f"\n{format_fix(asdict(one), language)}", no_wrap=True, overflow="ignore")
        for one in found.values()
        if language
    ]
    checks = Group(table(titles, map(_cells, checked + unread)), Text(_summary(rows)))
    print_text(Group(checks, *texts), is_paged=is_paged)


def _fail_on_issues(rows: Sequence[FirewallCheckRow]) -> None:
    """End the command if a required tag is not known to be allowed, or if nothing was checked."""
    issues = sum(map(is_firewall_issue, rows))
    unread = sum((row["message"] or "").startswith(("no_file", "not_json")) for row in rows)
    if issues or unread:
        echo(
            f"{number_of(issues, 'firewall issue')}, {number_of(unread, 'unreadable file')}.",
            err=True,
        )
    elif not any(row["verdict"] for row in rows):
        echo("No firewall found. Check the path in --firewalls.", err=True)
    else:
        return
    raise typer.Exit(ExitCode.FOUND)


def _parse_tags(names: str) -> list[str]:
    """Parse the tags of the option; raise `BadParameter` for an unknown tag."""
    tags = [one.strip() for one in names.split(",") if one.strip()]
    if unknown := [one for one in tags if one not in TAGS_BESIDE]:
        known = ", ".join(TAGS_BESIDE)
        raise typer.BadParameter(f"Unknown tag {', '.join(unknown)}. Use {known}.")
    return tags


def canonical_region(region: str, tags: ServiceTagList) -> str:
    """Return a region as the list spells it; end the command if the list does not contain it."""
    known = tags.regions(PROTECTED_TAG)
    for one in known:
        if one.lower() == region.lower():
            return one
    echo(f"{PROTECTED_TAG} has no region {region}. Regions: {', '.join(known)}.", err=True)
    raise typer.Exit(1)


def _cells(row: FirewallCheckRow) -> tuple[str, ...]:
    missing = row["missing_prefixes"]
    more = f"\nand {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return (
        row["resource"],
        row["kind"],
        row["region"] or "",
        row["tag"] if row["verdict"] else "",
        _IS_REQUIRED[row["required"]] if row["verdict"] else "",
        row["verdict"] or "",
        "\n".join(missing[:_SHOWN]) + more,
        row["message"] or "",
    )


def _summary(rows: Sequence[FirewallCheckRow]) -> str:
    """Return the count of each verdict by tag."""
    tags = dict.fromkeys((row["tag"], row["required"]) for row in rows if row["verdict"])
    lines = []
    for tag, is_required in tags:
        count = Counter(row["verdict"] for row in rows if row["verdict"] and row["tag"] == tag)
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in count.items())
        lines.append(f"{tag} ({'required' if is_required else 'reported only'}): {verdicts}.")
    others = sum(row["verdict"] is None for row in rows)
    return "\n".join([*(lines or ["No firewall found."]), f"{others} other resources and files."])

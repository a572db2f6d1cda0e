"""`cmkflow network check`: check firewalls in exported files, offline."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cmkflow.api_client import ExitCode
from cmkflow.exported_resources import read_exported_resources
from cmkflow.firewall_fix_command import FixLanguage, format_fix
from cmkflow.json_file import read_service_tag_list
from cmkflow.listing import Column, Kind, Listing
from cmkflow.network_check import FirewallCheckRow, Question, check_network, is_firewall_issue
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import format_number, shorten_resource_ids
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.terminal import echo
from shared.domain.network.firewall_fix import FirewallFix
from shared.domain.network.network_check import PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.verdict import Verdict

_SHOWN = 3
#: Worst verdict first; None: the file could not be read.
_STYLES: Mapping[Verdict | None, str] = {
    Verdict.DENIED: "bold red",
    Verdict.PARTLY_ALLOWED: "bold red",
    Verdict.UNKNOWN: "yellow",
    None: "yellow",
    Verdict.ALLOWED: "green",
}


class FailOn(StrEnum):
    """Values of `--fail-on`: results with which the command exits with code 6."""

    GAP = "gap"


def check_exported_firewalls(
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
        typer.Option(
            help="Check only the addresses of this Azure region, such as WestEurope. "
            "Can be repeated. Default: all regions."
        ),
    ] = None,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
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

    Microsoft requires three service tags. If a firewall does not allow PowerPlatformPlex, that is a
    firewall issue. The other two are only reported, unless --also-required names them. Exits with 1
    if the service tag list cannot be read or does not have the region.

    Examples:
        cmkflow network check --service-tags tags.json --firewalls exported
        cmkflow network check --service-tags f.json --firewalls rules --show-fix az
    """
    printer = AnswerPrinter(output, query, no_pager=no_pager)
    tags = read_service_tag_list(service_tags)
    question = Question(
        tags=tags,
        regions=[resolve_region(one, tags) for one in region or ()],
        also_required=_parse_tags(also_required),
    )
    exported = read_exported_resources(firewalls)
    rows = asyncio.run(check_network(exported, question, with_fixes=show_fix is not None))
    printer.print(
        {"items": [_build_json_row(row) for row in rows]},
        lambda: _format_table_and_fixes(rows, show_fix),
    )
    echo(_format_summary(rows), err=True)
    if fail_on:
        _exit_on_problems(rows)


def _build_json_row(row: FirewallCheckRow) -> dict[str, object]:
    return {
        name: asdict(value) if isinstance(value, FirewallFix) else value
        for name, value in row.items()
    }


def _format_table_and_fixes(
    rows: Sequence[FirewallCheckRow], language: FixLanguage | None
) -> Group:
    shown = [row for row in rows if row["kind"] == "file" or (row["verdict"] and row["required"])]
    table = Listing(
        columns=_build_columns(shown),
        items=sorted(shown, key=_compute_verdict_rank),
        note=_format_note,
    )
    found = {row["resource"]: one for row in rows if language and (one := row.get("fix"))}
    fixes = [
        Text(f"\n{format_fix(asdict(one), language)}", no_wrap=True, overflow="ignore")
        for one in found.values()
        if language
    ]
    return Group(*([table] if shown else []), *fixes)


def _compute_verdict_rank(row: FirewallCheckRow) -> int:
    return list(_STYLES).index(row["verdict"])


def _build_columns(rows: Sequence[FirewallCheckRow]) -> tuple[Column, ...]:
    names = Counter(_format_short_name(one) for one in {row["resource"] for row in rows})

    def choose_firewall_name(row: FirewallCheckRow) -> str:
        short = _format_short_name(row["resource"])
        if names[short] == 1:
            return short
        file, is_in_file, _ = row["resource"].partition("!")
        return f"{short} ({Path(file).name})" if is_in_file else row["resource"]

    tags = {row["tag"] for row in rows if row["verdict"]}
    return (
        Column("Firewall", choose_firewall_name, Kind.PATH),
        Column("Kind", lambda row: row["kind"].replace("_", " ")),
        Column("Region", lambda row: row["region"] or "", Kind.WORD),
        Column("Tag", lambda row: row["tag"] if len(tags) > 1 else "", Kind.WORD),
        Column("Verdict", _format_verdict, Kind.WORD),
        Column("Missing", lambda row: len(row["missing_prefixes"]), Kind.NUMBER),
    )


def _format_short_name(resource: str) -> str:
    file, is_in_file, identity = resource.partition("!")
    return identity.rpartition("/")[2] if is_in_file else shorten_resource_ids(file)


def _format_verdict(row: FirewallCheckRow) -> Text:
    verdict = row["verdict"]
    return Text((verdict or "not read").replace("_", " "), style=_STYLES[verdict])


def _format_note(row: FirewallCheckRow) -> str:
    missing = row["missing_prefixes"]
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    prefixes = f"missing {', '.join(missing[:_SHOWN])}{more}" if missing else ""
    return " · ".join(filter(None, (row["message"], prefixes)))


def _exit_on_problems(rows: Sequence[FirewallCheckRow]) -> None:
    issues = sum(map(is_firewall_issue, rows))
    unread = sum((row["message"] or "").startswith(("no_file", "not_json")) for row in rows)
    if issues or unread:
        echo(
            f"{format_number(issues, 'firewall issue')}, "
            f"{format_number(unread, 'unreadable file')}.",
            err=True,
        )
    elif not any(row["verdict"] for row in rows):
        echo("No firewall found. Check the path in --firewalls.", err=True)
    else:
        return
    raise typer.Exit(ExitCode.FOUND)


def _parse_tags(names: str) -> list[str]:
    tags = [one.strip() for one in names.split(",") if one.strip()]
    if unknown := [one for one in tags if one not in TAGS_BESIDE]:
        known = ", ".join(TAGS_BESIDE)
        raise typer.BadParameter(f"Unknown tag: {', '.join(unknown)}. Known tags: {known}.")
    return tags


def resolve_region(region: str, tags: ServiceTagList) -> str:
    """Return a region as the service tag list spells it. Exits with 1 if the list lacks it."""
    known = tags.list_regions(PROTECTED_TAG)
    for one in known:
        if one.lower() == region.lower():
            return one
    echo(f"{PROTECTED_TAG} has no region {region}. Regions: {', '.join(known)}.", err=True)
    raise typer.Exit(1)


def _format_summary(rows: Sequence[FirewallCheckRow]) -> str:
    tags = dict.fromkeys((row["tag"], row["required"]) for row in rows if row["verdict"])
    lines = []
    for tag, is_required in tags:
        count = Counter(row["verdict"] for row in rows if row["verdict"] and row["tag"] == tag)
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in count.items())
        lines.append(f"{tag} ({'required' if is_required else 'reported only'}): {verdicts}.")
    others = sum(row["verdict"] is None for row in rows)
    return "\n".join([*(lines or ["No firewall found."]), f"{others} other resources and files."])

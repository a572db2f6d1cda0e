"""`cmkflow network called-hosts`: show the hosts that exported flows call."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.called_host_report import CalledHostReport, CalledHostRow
from cmkflow.exported_resources import read_exported_resources
from cmkflow.flow_files import FlowFile, read_flow_files
from cmkflow.json_file import read_service_tag_list
from cmkflow.listing import Column, Kind, Listing
from cmkflow.network_check import read_exported_firewalls
from cmkflow.network_check_command import resolve_region
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import shorten_resource_ids
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.terminal import echo
from shared.domain.network.called_hosts import list_called_hosts

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


def show_called_hosts(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…", help="Files or folders with exported flows, as for `cmkflow inspect`."
        ),
    ],
    service_tags: Annotated[
        Path, typer.Option(metavar="FILE", help="File with Microsoft's service tag list.")
    ],
    region: Annotated[
        list[str],
        typer.Option(
            help="Azure region. Repeat it for each region of the geography of the flows' "
            "environments."
        ),
    ],
    firewalls: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="File or folder with exported firewalls and services."),
    ] = None,
    email_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write an e-mail to the owner of each external host to this folder.",
        ),
    ] = None,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
    no_pager: NoPager = False,
) -> None:
    """Show which hosts flows call, whether exported firewalls allow the calls, and whom to ask
    about other hosts.

    Exits with 1 if a file could not be read; the others are shown.

    Examples:
        cmkflow network called-hosts exported --service-tags f.json --region UKSouth
    """
    printer = AnswerPrinter(output, query, no_pager=no_pager)
    files = list(read_flow_files(paths))
    tags = read_service_tag_list(service_tags)
    answers = CalledHostReport(tags, [resolve_region(one, tags) for one in region])
    read = asyncio.run(read_exported_firewalls(read_exported_resources(firewalls or ())))
    rows = [answers.build_row(one) for one in list_called_hosts(_group_hosts_by_flow(files), read)]
    printer.print({"items": rows}, lambda: _format_host_rows(rows))
    if email_folder:
        _write_emails_to_host_owners(email_folder, rows, answers)
    problems = [file for file in files if file.problem]
    for file in problems:
        echo(f"{file.path}: {file.problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _group_hosts_by_flow(files: Sequence[FlowFile]) -> dict[str, set[str | None]]:
    hosts: dict[str, set[str | None]] = defaultdict(set)
    for file in files:
        for action in file.flow.definition.http_actions if file.flow else ():
            name = file.name or file.workflow_id or file.path
            hosts[name].add(action.host.lower() if action.host else None)
    return hosts


def _write_emails_to_host_owners(
    folder: Path, rows: Sequence[CalledHostRow], answers: CalledHostReport
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row["verdict"] == "external":
            file = folder / f"{_UNSAFE.sub('_', row['host'] or '')}.eml"
            file.write_bytes(answers.build_email_to_host_owner(row))
            echo(str(file), err=True)


_COLUMNS = (
    Column("Host", lambda row: row["host"] or "(expression)", Kind.PATH),
    Column("Verdict", lambda row: row["verdict"].replace("_", " "), Kind.WORD),
    Column("Flows", lambda row: len(row["flows"]), Kind.NUMBER),
    Column(
        "Azure resource",
        lambda row: ", ".join(map(shorten_resource_ids, row["resources"])),
        Kind.PATH,
    ),
)


def _format_host_rows(rows: Sequence[CalledHostRow]) -> Group:
    asked = [row for row in rows if row["verdict"] == "external"]
    parts: list[RenderableType] = (
        [Listing(columns=_COLUMNS, items=rows, note=lambda row: ", ".join(row["flows"]))]
        if rows
        else [Text("No flow sends HTTP requests.")]
    )
    if asked:
        hosts = ", ".join(str(row["host"]) for row in asked)
        prefixes = "\n".join(asked[0]["prefixes"])
        parts.append(Text(f"Ask the owners of {hosts} to allow:\n{prefixes}"))
    return Group(*parts)

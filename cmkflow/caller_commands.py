"""`cmkflow caller`: declare callers of flows, and search files for callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from cmkflow import declared_caller_commands
from cmkflow.documents import READ_ERRORS, Document, describe_read_error, open_documents
from cmkflow.id_file import read_flow_ids
from cmkflow.listing import Column, Kind, Listing
from cmkflow.named_files import parse_file_name
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import format_number
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.scan_stream import BinaryFile, LocatedReference, scan_stream
from cmkflow.terminal import echo
from shared.domain.callers.scan_document import ReferenceShape
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST

#: Shapes of references with a trigger URL id or a workflow id; the others have the former.
_WITH_ANY_ID = frozenset({ReferenceShape.CHILD_FLOW, ReferenceShape.ID})
_BROKEN = (
    f"{RETIRED_HOST} stopped serving flows on 2025-11-30: broken, unless a Logic App has this URL."
)

app = typer.Typer(
    no_args_is_help=True, help="Declare callers of flows, and search files for callers."
)
declared_caller_commands.add_declared_caller_commands(app)


@dataclass(slots=True)
class _Scan:
    #: By the 32 hex digits of each; None: every trigger URL is sought.
    ids: Mapping[bytes, str] | None
    items: list[dict[str, Any]] = field(default_factory=list)
    file_count: int = 0
    #: Why a file was not searched, by path.
    skipped: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def search_document(self, document: Document) -> None:
        if document.stream is None:
            reasons = self.skipped if document.skipped else self.problems
            reasons[document.path] = document.skipped or document.problem
            return
        try:
            for one in scan_stream(document.stream, self.ids):
                self.items.append(self._build_reference_item(document.path, one))
            self.file_count += 1
        except BinaryFile:
            self.skipped[document.path] = "binary"
        except READ_ERRORS as error:
            self.problems[document.path] = describe_read_error(error)

    def _build_reference_item(self, path: str, found: LocatedReference) -> dict[str, Any]:
        reference = found.reference
        identity = reference.id
        if self.ids and reference.shape in _WITH_ANY_ID:
            identity = self.ids[identity.replace("-", "").encode()]
        has_dashes = "-" in identity
        return {
            "path": path,
            "offset": found.offset,
            "line": found.line,
            "trigger_url_id": None if has_dashes else identity,
            "workflow_id": identity if has_dashes else None,
            "host": reference.host,
            "shape": reference.shape.value,
            "is_replaceable": not reference.manual_reason,
            "manual_reason": reference.manual_reason,
            "is_broken": reference.is_broken,
        }


@app.command("scan")
def scan_files(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            parser=parse_file_name,
            help="Files or folders with texts, scripts, settings or exported solutions.",
        ),
    ],
    ids: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON, CSV or TSV file with ids of flows, as other commands print them; of a line "
            "without column names, the first id. Default: every trigger URL.",
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Shorten nothing.")] = False,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
    no_pager: NoPager = False,
) -> None:
    """Find trigger URLs and ids of flows in files, offline. Prints no signature of a URL.

    Reads texts of any format, and archives. Binary files are listed and skipped. Exits with 1 if a
    file could not be read; the others are searched.

    Examples:
        cmkflow caller scan repository solution.zip
        cmkflow caller scan repository --ids flows.csv -o csv
    """
    printer = AnswerPrinter(output, query, no_pager=no_pager)
    scan = _Scan(None if ids is None else read_flow_ids(ids))
    for document in open_documents(paths):
        scan.search_document(document)
    if scan.items or not printer.is_for_people:
        listing = Listing(columns=_COLUMNS, items=scan.items, note=_format_note, is_full=full)
        printer.print({"items": scan.items}, lambda: listing)
    for path, reason in {**scan.skipped, **scan.problems}.items():
        echo(f"{path}: not searched: {reason}", err=True)
    echo(_format_summary(scan), err=True)
    if scan.problems:
        raise typer.Exit(1)


_COLUMNS = (
    Column("Place", lambda item: f"{item['path']}:{item['line']}", Kind.PATH),
    Column("Id", lambda item: item["trigger_url_id"] or item["workflow_id"], Kind.ID),
    Column("Host", lambda item: item["host"] or "", Kind.PATH),
    Column("Shape", lambda item: item["shape"].replace("_", " "), Kind.WORD),
    Column("Replaceable", lambda item: "yes" if item["is_replaceable"] else "no", Kind.WORD),
)


def _format_note(item: Mapping[str, Any]) -> str:
    broken = _BROKEN if item["is_broken"] else ""
    return " ".join(filter(None, (broken, item["manual_reason"])))


def _format_summary(scan: _Scan) -> str:
    with_callers = len({item["path"] for item in scan.items})
    counts = (
        (sum(item["is_broken"] for item in scan.items), "broken"),
        (sum(not item["is_replaceable"] for item in scan.items), "for a person to change"),
    )
    details = ", ".join(f"{count} {what}" for count, what in counts if count)
    text = f"{format_number(len(scan.items), 'caller')} in {with_callers} of "
    text += format_number(scan.file_count, "file")
    left = len(scan.skipped) + len(scan.problems)
    text += f": {details}." if details else "."
    return text + (f" Not searched: {left}." if left else "")

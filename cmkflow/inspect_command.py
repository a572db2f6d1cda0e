"""`cmkflow inspect`: show which flows in files stay on Microsoft's key, and why.

Works offline, on exported flows and on files in a repository.
"""

from pathlib import Path
from typing import Annotated

import typer

from cmkflow.api_client import ExitCode
from cmkflow.flow_files import read_flow_files
from cmkflow.flow_report import inspect_flows
from cmkflow.flow_table import build_flow_table, format_summary
from cmkflow.named_files import parse_file_name
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import format_number
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.terminal import echo


def inspect_flow_files(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            parser=parse_file_name,
            help="Files or folders with .json definitions or .zip exports.",
        ),
    ],
    full: Annotated[bool, typer.Option("--full", help="Shorten nothing.")] = False,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
    no_pager: NoPager = False,
) -> None:
    """Show which flows stay on Microsoft's key when your key is applied, and why.

    Reads solution and package exports, clientdata, Logic Apps and ARM templates. Desktop flows are
    listed and skipped. Exits with 1 if a file could not be read; the others are shown. Exits with 3
    if no flow was found.

    Examples:
        cmkflow inspect exported
        cmkflow inspect solution.zip -o csv
    """
    printer = AnswerPrinter(output, query, no_pager=no_pager)
    found = list(read_flow_files(paths))
    inspections = inspect_flows(found)
    problems = [file for file in found if file.problem]
    skipped = [file for file in found if file.skipped]
    answer = {"items": [one.build_json() for one in inspections]}
    if inspections or not printer.is_for_people:
        printer.print(answer, lambda: build_flow_table(inspections, is_full=full))
    if inspections:
        echo(format_summary(inspections, skipped=len(skipped)), err=True)
    for file in skipped:
        echo(f"{file.path}: skipped: {file.skipped}", err=True)
    for file in problems:
        echo(f"{file.path}: {file.problem}", err=True)
    if problems:
        echo(f"Cannot read {format_number(len(problems), 'file')}.", err=True)
        raise typer.Exit(1)
    if not inspections:
        named = ", ".join(map(str, paths))
        echo(
            f"No flows found in {named}. Pass exported flows or a folder with exported flows.",
            err=True,
        )
        raise typer.Exit(ExitCode.NOT_FOUND)

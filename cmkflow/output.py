"""Print an answer of the API as text, or as JSON, TSV or CSV (`--output`, `--query`)."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from shared.domain.printable import format_spreadsheet_cell


class OutputFormat(StrEnum):
    """Values of `--output`, as in the Azure CLI."""

    TABLE = "table"  #: text for people
    JSON = "json"  #: the whole answer
    TSV = "tsv"  #: values separated by tabs, one row per line
    CSV = "csv"  #: the same as CSV, with a header


Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output",
        "-o",
        help="Output format. `json` prints the whole answer, `tsv` and `csv` print its rows.",
    ),
]
Query = Annotated[
    str | None,
    typer.Option(
        "--query",
        help="JMESPath query on the answer. Prints JSON unless --output is set.",
        show_default=False,
    ),
]


class JmesPathQuery:
    """The expression of `--query`, which selects a part of an answer. It is parsed before any
    request, so that a wrong expression changes nothing.
    """

    def __init__(self, expression: str) -> None:
        """Parse the expression. Raises `BadParameter` if it is not valid."""
        import jmespath

        with _convert_query_errors():
            self._compiled = jmespath.compile(expression)

    def apply(self, answer: Any) -> Any:
        """Return what the query selects of an answer.

        Raises `BadParameter` if it cannot be evaluated.
        """
        with _convert_query_errors():
            return self._compiled.search(answer)


@contextmanager
def _convert_query_errors() -> Iterator[None]:
    from jmespath.exceptions import JMESPathError

    try:
        yield
    except JMESPathError as err:
        text = " ".join(str(err).split())
        raise typer.BadParameter(f"invalid JMESPath: {text}", param_hint="--query") from None


def format_for_programs(answer: Any, output: OutputFormat) -> str:
    """Return an answer as JSON, TSV or CSV. In TSV and CSV, nested values are JSON."""
    match output:
        case OutputFormat.TSV:
            lines = (
                "\t".join(map(remove_tabs_and_breaks, row))
                for row in _list_values(_list_rows(answer))
            )
            return "\n".join(lines)
        case OutputFormat.CSV:
            return _format_csv(_list_rows(answer))
    return json.dumps(answer)


def _list_rows(answer: Any) -> Sequence[Any]:
    if isinstance(answer, Mapping) and isinstance(answer.get("items"), list):
        answer = answer["items"]
    return cast("Sequence[Any]", answer) if isinstance(answer, list) else [answer]


def _list_values(rows: Iterable[Any]) -> Iterable[list[str]]:
    for row in rows:
        if isinstance(row, Mapping):
            yield [_format_value(value) for value in row.values()]
        else:
            yield [_format_value(value) for value in (row if isinstance(row, list) else [row])]


def _format_csv(rows: Sequence[Any]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    names = list(dict.fromkeys(name for row in rows if isinstance(row, Mapping) for name in row))
    if names:
        writer.writerow(names)
    for row in rows:
        if isinstance(row, Mapping):
            writer.writerow([_format_csv_cell(row.get(name)) for name in names])
        else:
            writer.writerow(map(_format_csv_cell, row if isinstance(row, list) else [row]))
    return target.getvalue().rstrip("\n")


def _format_value(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _format_csv_cell(value: Any) -> str:
    """Return a CSV cell, escaped so that spreadsheets do not take it for a formula."""
    return format_spreadsheet_cell(value) if isinstance(value, str) else _format_value(value)


def remove_tabs_and_breaks(text: str) -> str:
    """Return a text without tabs and line breaks."""
    return " ".join(text.replace("\t", " ").splitlines()) if text else ""

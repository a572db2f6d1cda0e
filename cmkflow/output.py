"""How an answer of the API is printed: for people, or for programs (`--output`, `--query`)."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from shared.domain.spreadsheet_cell import spreadsheet_cell


class OutputFormat(StrEnum):
    """What `--output` takes: as of the Azure CLI."""

    TABLE = "table"  #: text for people
    JSON = "json"  #: the API's answer
    TSV = "tsv"  #: values, a row a line, tabs between them
    CSV = "csv"  #: the same with names and quotes


class LinesFormat(StrEnum):
    """What `--output` takes of commands that work offline."""

    TABLE = "table"  #: text for people
    JSON = "json"  #: one object a line


LinesOutput = Annotated[
    LinesFormat, typer.Option("--output", "-o", help="For programs: one JSON object a line.")
]


class JmesPathQuery:
    """A JMESPath expression. It is read before anything is called: a slip orders nothing."""

    def __init__(self, expression: str) -> None:
        """Read it; raises `BadParameter`."""
        import jmespath

        with _told():
            self._compiled = jmespath.compile(expression)

    def of(self, answer: Any) -> Any:
        """Return what it makes of an answer; raises `BadParameter`."""
        with _told():
            return self._compiled.search(answer)


@contextmanager
def _told() -> Iterator[None]:
    from jmespath.exceptions import JMESPathError

    try:
        yield
    except JMESPathError as err:
        text = " ".join(str(err).split())
        raise typer.BadParameter(f"not JMESPath: {text}", param_hint="--query") from None


def for_programs(answer: Any, output: OutputFormat) -> str:
    """Return an answer as text: JSON, or its rows with what nests in a row as JSON."""
    match output:
        case OutputFormat.TSV:
            lines = ("\t".join(map(one_field, row)) for row in _values(_rows(answer)))
            return "\n".join(lines)
        case OutputFormat.CSV:
            return _csv(_rows(answer))
    return json.dumps(answer)


def _rows(answer: Any) -> Sequence[Any]:
    """Return the rows of an answer: a list, the items of one, or what stands alone."""
    if isinstance(answer, Mapping) and isinstance(answer.get("items"), list):
        answer = answer["items"]
    return cast("Sequence[Any]", answer) if isinstance(answer, list) else [answer]


def _values(rows: Iterable[Any]) -> Iterable[list[str]]:
    for row in rows:
        if isinstance(row, Mapping):
            yield [_text(value) for value in row.values()]
        else:
            yield [_text(value) for value in (row if isinstance(row, list) else [row])]


def _csv(rows: Sequence[Any]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    names = list(dict.fromkeys(name for row in rows if isinstance(row, Mapping) for name in row))
    if names:
        writer.writerow(names)
    for row in rows:
        if isinstance(row, Mapping):
            writer.writerow([_cell(row.get(name)) for name in names])
        else:
            writer.writerow(map(_cell, row if isinstance(row, list) else [row]))
    return target.getvalue().rstrip("\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _cell(value: Any) -> str:
    """Return a value for a spreadsheet, in which a name may not be a formula."""
    return spreadsheet_cell(value) if isinstance(value, str) else _text(value)


def one_field(text: str) -> str:
    """Return a field without what would begin another one, or a line."""
    return " ".join(text.replace("\t", " ").splitlines()) if text else ""

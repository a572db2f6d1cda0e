"""Parse declared callers from CSV.

A caller may have several lines, one for each flow that it calls. Its other values may be in any of
them.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.domain.trigger_urls.trigger_url import find_trigger_urls

_COLUMNS_OF_FLOW = ("environment_id", "flow", "trigger_url_id", "new_url_secret")
_NUMBER = "max_url_length"
#: Members with several values, which a text separates by blanks.
_LISTS = ("allowed_hosts", "networks")
COLUMNS = (
    *("name", "owner", "contact", *_COLUMNS_OF_FLOW),
    *(_NUMBER, "allowed_hosts", "user_agent", "networks", "authentication", "notification"),
)
#: Wrong lines after which the rest is not read.
_MOST_FAULTS = 100


class UnreadableCsv(ValueError):
    """The header of a CSV file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFault:
    """What is wrong with a line of a CSV file, without the values of the line."""

    line: int
    text: str


@dataclass(slots=True, kw_only=True)
class CsvCaller:
    """A declared caller, with its values from all its lines of the CSV file."""

    #: Its first line.
    line: int
    values: dict[str, str]
    #: The values of each flow, by line.
    flows: dict[int, dict[str, str]] = field(default_factory=dict)

    def build_declaration(self, *lines: int) -> dict[str, Any]:
        """Return the caller in the form that the API accepts, with the flows of these lines."""
        return normalize_declaration({**self.values, "flows": [self.flows[line] for line in lines]})


def parse_csv(text: str) -> tuple[list[CsvCaller], list[CsvFault]]:
    """Return the callers in the text, and its wrong lines. Stops after 100 wrong lines.

    Raises `UnreadableCsv` for a wrong header.
    """
    found: dict[str, CsvCaller] = {}
    faults: list[CsvFault] = []
    for line, row in _parse_rows(text):
        if fault := row if isinstance(row, str) else _add_line_to_caller(found, line, row):
            faults.append(CsvFault(line=line, text=fault))
        if len(faults) == _MOST_FAULTS:
            text = f"{_MOST_FAULTS} lines are wrong. The lines after this one were not read"
            faults.append(CsvFault(line=line, text=text))
            break
    return [*found.values()], faults


def normalize_declaration(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Remove empty values from a caller, and convert texts to numbers, lists and URL ids."""
    found = _remove_empty_values(entry)
    number, flows = found.get(_NUMBER), found.get("flows")
    if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < 10:
        found[_NUMBER] = int(number)
    for name in _LISTS:
        if isinstance(values := found.get(name), str):
            found[name] = values.split()
    if isinstance(flows, list):
        found["flows"] = [_normalize_flow(one) for one in flows]
    return found


def _add_line_to_caller(found: dict[str, CsvCaller], line: int, row: Mapping[str, str]) -> str:
    """Add the values of a line to its caller. Returns what is wrong with the line, or ""."""
    name = row.get("name", "")
    if not name:
        return "it has no name"
    caller = found.setdefault(name.casefold(), CsvCaller(line=line, values={"name": name}))
    values = {one: row[one] for one in row if one not in {"name", *_COLUMNS_OF_FLOW}}
    for column, value in values.items():
        if caller.values.get(column, value) != value:
            return f"{name} has another {column} in an earlier line"
    caller.values |= values
    if flow := {column: row[column] for column in _COLUMNS_OF_FLOW if column in row}:
        caller.flows[line] = flow
    return ""


def _parse_rows(text: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yield the number of each line with its values by column, or with what is wrong.

    Omits empty values and empty lines.
    """
    lines = [*io.StringIO(text, newline="")]
    header: list[str] | None = None
    start = 0
    while start < len(lines):
        reader = csv.reader(io.StringIO("".join(lines[start:]), newline=""), strict=True)
        before = 0
        try:
            for cells in reader:
                if header is None:
                    header = _parse_header(cells)
                elif row := _map_cells_to_columns(header, cells):
                    yield start + reader.line_num, row
                before = reader.line_num
        except csv.Error as error:
            if header is None:
                raise UnreadableCsv(f"not CSV: line 1: {error}") from None
            yield start + before + 1, f"it is not CSV: {error}"
            start += before + 1  # an open quote swallows all lines after it: read them again
            continue
        return
    if header is None:
        _parse_header([])


def _parse_header(cells: list[str]) -> list[str]:
    header = [name.strip() for name in cells]
    if unknown := [name for name in header if name not in COLUMNS]:
        raise UnreadableCsv(
            f"unknown columns: {', '.join(unknown)}. Use a first line with {', '.join(COLUMNS)}"
        )
    if "name" not in header or len(set(header)) < len(header):
        raise UnreadableCsv("its first line needs the column name, and each column once")
    return header


def _map_cells_to_columns(header: list[str], cells: list[str]) -> dict[str, str] | str:
    if len(cells) > len(header):
        return "it has more values than columns"
    values = zip(header, (one.strip() for one in cells), strict=False)
    return {name: value for name, value in values if value}


def _normalize_flow(flow: object) -> object:
    if not isinstance(flow, dict):
        return flow
    found = _remove_empty_values(flow)
    url = found.get("trigger_url_id")
    if isinstance(url, str) and (matches := find_trigger_urls(url)):
        found["trigger_url_id"] = matches[0].url.trigger_url_id
    return found


def _remove_empty_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in values.items() if value not in (None, "")}

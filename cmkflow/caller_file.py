"""Read the callers that a YAML, JSON or CSV file declares."""

import csv
import io
import json
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from cmkflow.json_file import UnreadableFile, decode_json
from shared.domain.trigger_urls.trigger_url import find_trigger_urls

#: The member of a file with the callers.
_CALLERS = "callers"
_COLUMNS_OF_FLOW = ("environment_id", "flow", "trigger_url_id", "new_url_secret")
_NUMBER = "max_url_length"
#: Members with several values, which a text separates by blanks.
_LISTS = ("allowed_hosts", "networks")
#: Columns of a CSV file: one line for each flow, with the other values in any line of the caller.
COLUMNS = (
    *("name", "owner", "contact", *_COLUMNS_OF_FLOW),
    *(_NUMBER, "allowed_hosts", "user_agent", "networks", "authentication", "notification"),
)
#: Size of the largest file, in bytes. A file of the most callers that the app accepts is smaller.
_MAX_BYTES = 1_000_000


def parse_callers(data: bytes, suffix: str) -> list[dict[str, Any]]:
    """Return the callers of a file as the API takes them; `suffix` is its format.

    Values that the API checks are unchanged. Of a trigger URL, only the id is returned. Raises
    `UnreadableFile` if the file or an entry has no valid structure.
    """
    if len(data) > _MAX_BYTES:
        raise UnreadableFile(f"it is larger than {_MAX_BYTES} bytes")
    if suffix == ".csv":
        return _parse_csv(_decode(data))
    document = decode_json(data) if suffix == ".json" else _parse_yaml(_decode(data))
    if not isinstance(document, dict) or not isinstance(document.get(_CALLERS), list):
        raise UnreadableFile(f"it has no list {_CALLERS} at its beginning")
    if unknown := sorted(str(name) for name in document if name != _CALLERS):
        raise UnreadableFile(f"it has members beside {_CALLERS}: {', '.join(unknown)}")
    entries = document[_CALLERS]
    if wrong := [number for number, one in enumerate(entries, 1) if not isinstance(one, dict)]:
        numbers = ", ".join(map(str, wrong))
        raise UnreadableFile(f"these entries of {_CALLERS} have no name and values: {numbers}")
    return [_normalize(one) for one in entries]


def read_callers(file: Path) -> list[dict[str, Any]]:
    """Return the callers of a file, whose name ends in its format; raise `UnreadableFile`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(error.strerror)) from None
    return parse_callers(data, file.suffix.lower())


class _Loader(yaml.BaseLoader):  # every value is a text: `no` and 0123 stay as they are written
    """Loads YAML without aliases, which can make a small file huge, and without repeated names."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]  # stubs
            raise UnreadableFile(f"line {line} has an alias, which is not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [str(key.value) for key, _ in node.value]
        if twice := {name for name in names if names.count(name) > 1}:
            line = node.start_mark.line + 1
            raise UnreadableFile(f"after line {line}, {min(twice)} is given twice")
        return super().construct_mapping(node, deep)


def _parse_yaml(text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- it creates texts, lists and mappings
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableFile(f"not YAML{line}: {error.problem}") from None
    except yaml.YAMLError:
        raise UnreadableFile("not YAML: it has characters that YAML does not allow") from None
    except RecursionError:
        raise UnreadableFile("the YAML is nested too deeply") from None


def _parse_csv(text: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line, row in _read_rows(text):
        name = row.get("name", "")
        if not name:
            raise UnreadableFile(f"line {line} has no name")
        caller = found.setdefault(name.casefold(), {"name": name, "flows": []})
        for column in row.keys() - {"name", *_COLUMNS_OF_FLOW}:
            if caller.setdefault(column, row[column]) != row[column]:
                raise UnreadableFile(f"line {line}: {name} has another {column} in an earlier line")
        if flow := {column: row[column] for column in _COLUMNS_OF_FLOW if column in row}:
            caller["flows"].append(flow)
    return [_normalize(one) for one in found.values()]


def _read_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the values of each row, without those that are empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if unknown := [name for name in header if name not in COLUMNS]:
            raise UnreadableFile(
                f"unknown columns: {', '.join(unknown)}. Use a first line with {', '.join(COLUMNS)}"
            )
        if "name" not in header or len(set(header)) < len(header):
            raise UnreadableFile("its first line needs the column name, and each column once")
        for cells in reader:
            if len(cells) > len(header):
                raise UnreadableFile(f"line {reader.line_num} has more values than columns")
            values = zip(header, (one.strip() for one in cells), strict=False)
            if row := {name: value for name, value in values if value}:
                yield reader.line_num, row
    except csv.Error as error:
        raise UnreadableFile(f"not CSV: line {reader.line_num}: {error}") from None


def _normalize(entry: dict[Any, Any]) -> dict[str, Any]:
    """Return a caller without empty values; convert texts with a number or with several values."""
    found = {str(name): value for name, value in entry.items() if value not in (None, "")}
    number, flows = found.get(_NUMBER), found.get("flows")
    if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < 10:
        found[_NUMBER] = int(number)
    for name in _LISTS:
        if isinstance(values := found.get(name), str):
            found[name] = values.split()
    if isinstance(flows, list):
        found["flows"] = [_normalize_flow(one) for one in flows]
    return found


def _normalize_flow(flow: object) -> object:
    if not isinstance(flow, dict):
        return flow
    found = {str(name): value for name, value in flow.items() if value not in (None, "")}
    url = found.get("trigger_url_id")
    if isinstance(url, str) and (matches := find_trigger_urls(url)):
        found["trigger_url_id"] = matches[0].url.trigger_url_id
    return found


def _decode(data: bytes) -> str:
    try:
        return data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"the text is not {error.encoding}") from None

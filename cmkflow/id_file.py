"""Read ids of flows from files, such as the output of `cmkflow flow list`."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from cmkflow.json_file import UnreadableFile, decode_json, decode_text

#: A trigger URL id, or a workflow id.
_ID = re.compile(
    r"(?<![0-9a-f-])(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f-])",
    re.IGNORECASE,
)
#: Members and columns with ids of flows. Ids of copies are not among them: their callers are
#: already updated.
_NAMES = frozenset(
    (
        *("workflow_id", "workflow_ids", "trigger_url_id", "trigger_url_ids"),
        *("original_id", "original_url_id", "flow_id", "flow_ids"),
    )
)
#: The same in a list of flows; elsewhere it is an id of something else.
_NAME_IN_FLOW_LIST = frozenset({"id"})


def read_flow_ids(file: Path) -> dict[bytes, str]:
    """Return the flow ids in a JSON, CSV or TSV file, each by its 32 hex digits. Raises
    `BadParameter` if the file has no id or cannot be read.
    """
    try:
        data = file.read_bytes()
        text = decode_text(data)
        is_json = text.lstrip().startswith(("{", "["))
        found = _list_ids_in_json(decode_json(data)) if is_json else _list_ids_in_table(text)
    except OSError as error:
        raise typer.BadParameter(f"Cannot read {file}: {error.strerror}.") from None
    except (UnreadableFile, csv.Error):
        raise typer.BadParameter(f"{file} is not JSON, CSV or TSV.") from None
    ids = {one.replace("-", "").lower().encode(): one.lower() for one in found}
    if not ids:
        message = f"{file} has no ids of flows: 32 hex digits, with or without dashes."
        raise typer.BadParameter(message)
    return ids


def _list_ids_in_json(document: object) -> list[str]:
    values = list(_list_texts_with_member_names(document, ""))
    for names in (_NAMES, _NAME_IN_FLOW_LIST):
        if found := [one for name, text in values if name in names for one in _ID.findall(text)]:
            return found
    return [text for name, text in values if not name and _ID.fullmatch(text)]


def _list_texts_with_member_names(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _list_texts_with_member_names(item, name)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _list_texts_with_member_names(member, str(key))


def _list_ids_in_table(text: str) -> list[str]:
    lines = text.splitlines()
    is_tabbed = bool(lines) and "\t" in lines[0]
    rows = [*csv.reader(lines, delimiter="\t" if is_tabbed else ",")]
    firsts = [next(filter(_ID.fullmatch, row), None) for row in rows]
    if not firsts or firsts[0]:
        return [one for one in firsts if one]
    for names in (_NAMES, _NAME_IN_FLOW_LIST):
        if columns := [at for at, name in enumerate(rows[0]) if name in names]:
            cells = (row[at] for row in rows[1:] for at in columns if at < len(row))
            return [one for cell in cells for one in _ID.findall(cell)]
    return []

"""Read the callers that a YAML, JSON or CSV file declares."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cmkflow.json_file import UnreadableFile, decode_json, decode_text
from shared.domain.callers.caller_csv import UnreadableCsv, normalize_declaration, parse_csv

#: The member of a file with the callers.
_CALLERS = "callers"
#: Size of the largest file, in bytes. A file of the most callers that the app accepts is smaller.
_MAX_BYTES = 1_000_000


def parse_callers(data: bytes, suffix: str) -> list[dict[str, Any]]:
    """Return the callers that a file declares, as entries of an API request.

    `suffix` is that of the file's name, such as `.csv`. The API checks the values. Of a trigger
    URL, only the id is returned. Raises `UnreadableFile` if the file has the wrong structure.
    """
    if len(data) > _MAX_BYTES:
        raise UnreadableFile(f"it is larger than {_MAX_BYTES} bytes")
    if suffix == ".csv":
        return _parse_csv_of_callers(decode_text(data))
    document = decode_json(data) if suffix == ".json" else _parse_yaml(decode_text(data))
    if not isinstance(document, dict) or not isinstance(document.get(_CALLERS), list):
        raise UnreadableFile(f"it has no list {_CALLERS} at its beginning")
    if unknown := sorted(str(name) for name in document if name != _CALLERS):
        raise UnreadableFile(f"it has members beside {_CALLERS}: {', '.join(unknown)}")
    entries = document[_CALLERS]
    if wrong := [number for number, one in enumerate(entries, 1) if not isinstance(one, dict)]:
        numbers = ", ".join(map(str, wrong))
        raise UnreadableFile(f"these entries of {_CALLERS} have no name and values: {numbers}")
    return [normalize_declaration(one) for one in entries]


def read_callers(file: Path) -> list[dict[str, Any]]:
    """Read the callers that a file declares. Raises `UnreadableFile` if the file cannot be read or
    has the wrong structure.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(error.strerror)) from None
    return parse_callers(data, file.suffix.lower())


class _Loader(yaml.BaseLoader):  # every value is a text: `no` and 0123 stay as they are written
    """Loads YAML. Rejects repeated names. Rejects aliases, which can make a small file huge."""

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


def _parse_csv_of_callers(text: str) -> list[dict[str, Any]]:
    try:
        callers, faults = parse_csv(text)
    except UnreadableCsv as error:
        raise UnreadableFile(str(error)) from None
    if faults:
        raise UnreadableFile("; ".join(f"line {one.line}: {one.text}" for one in faults))
    return [one.build_declaration(*one.flows) for one in callers]

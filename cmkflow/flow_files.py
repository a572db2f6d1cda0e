"""Read flows from exported solutions, packages, definitions and ARM templates.

A file that cannot be read becomes an item that says why.
"""

import io
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cmkflow.archives import (
    DAMAGED,
    DAMAGED_ARCHIVE,
    MEGABYTE,
    MOST_NESTED,
    ArchiveAllowance,
    TooMuchUnpacked,
    open_archive,
    read_member,
)
from cmkflow.desktop_flows import (
    find_customizations_member,
    find_packed_desktop_flow_ids,
    is_part_of_unpacked_desktop_flow,
)
from cmkflow.json_file import UnreadableFile, decode_json
from cmkflow.named_files import format_path
from shared.domain.definitions.flow_definition import DefinitionFormat
from shared.domain.definitions.flow_documents import FlowInDocument, find_flows_in_document

_GUID_AT_END = re.compile(
    r"^(?P<name>.*?)-?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.IGNORECASE
)
_FLOW_FILE_NAMES = frozenset({"definition.json", "workflow.json"})
_SOLUTION_FILES = frozenset({"solution.xml", "other/solution.xml"})
#: Size limit of a file; Dataverse accepts only much smaller definitions.
_MOST_BYTES = 64 * MEGABYTE
#: Limit of an archive with its nested archives: unpacked JSON in bytes.
_MOST_UNPACKED = 128 * MEGABYTE
_TOO_LARGE = f"larger than {_MOST_BYTES // MEGABYTE} MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFile:
    """A flow in a file, or the reason why the file has none."""

    #: as given; members of an archive follow `!/`
    path: str
    #: None if the file cannot be read; `problem` says why
    flow: FlowInDocument | None = None
    #: from the document or the file name, in lower case
    workflow_id: str | None = None
    name: str | None = None
    #: True in an exported or unpacked solution, None if unknown
    in_solution: bool | None = None
    problem: str | None = None
    #: why the file is not a cloud flow; None if it is one or cannot be read
    skipped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    path: str
    file_name: PurePosixPath
    data: bytes
    in_solution: bool | None
    #: True if the file was named explicitly or its path identifies it as a flow
    is_expected: bool
    #: True if the solution identifies it as a desktop flow
    is_desktop_flow: bool = False
    nested: int = 0
    allowance: ArchiveAllowance = field(
        default_factory=lambda: ArchiveAllowance(bytes=_MOST_UNPACKED)
    )


def read_flow_files(paths: Iterable[Path | str]) -> Iterator[FlowFile]:
    """Yield the flows in files and folders, sorted by path within each folder.

    Of a folder, reads `*.json` and `*.zip`. In folders and archives, JSON without a flow is ignored
    unless its path is that of a flow.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield from _read_flows_at_path(path, is_named=True)
            continue
        closed: list[OSError] = []
        found = (
            folder / name
            for folder, _, names in path.walk(on_error=closed.append)
            for name in names
            if PurePosixPath(name).suffix.lower() in {".json", ".zip"}
        )
        for entry in sorted(found):
            yield from _read_flows_at_path(entry, is_named=False)
        for error in closed:
            yield _build_unread_file(Path(str(error.filename)), error)


def _read_flows_at_path(path: Path, *, is_named: bool) -> Iterator[FlowFile]:
    shown = format_path(path)
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # for example a pipe, whose end may never come
            yield FlowFile(path=shown, problem="not a regular file")
            return
        if about.st_size > _MOST_BYTES and path.suffix.lower() != ".zip":
            yield FlowFile(path=shown, problem=_TOO_LARGE)
            return
        data = path.read_bytes()
        is_desktop_flow = is_part_of_unpacked_desktop_flow(path)
    except OSError as error:
        yield _build_unread_file(path, error)
        return
    name = PurePosixPath(shown)
    yield from _read_flows_of_source(
        _Source(
            path=shown,
            file_name=name,
            data=data,
            in_solution=_is_unpacked_solution(path.parent) or None,
            is_expected=is_named or _is_path_of_flow(name),
            is_desktop_flow=is_desktop_flow,
        )
    )


def _build_unread_file(path: Path, error: OSError) -> FlowFile:
    return FlowFile(path=format_path(path), problem=error.strerror or "cannot be opened")


def _read_flows_of_source(source: _Source) -> Iterator[FlowFile]:
    try:
        if source.data[:4] == b"PK\x03\x04" or source.file_name.suffix.lower() == ".zip":
            for member in _list_archive_members(source):
                yield from _read_flows_of_source(member)
        else:
            yield from _parse_json_source(source)
    except UnreadableFile as error:
        if source.nested and isinstance(error, TooMuchUnpacked):
            raise  # the limit applies to the whole file
        yield FlowFile(path=source.path, problem=str(error))
    except DAMAGED_ARCHIVE:
        yield FlowFile(path=source.path, problem=DAMAGED)


def _parse_json_source(source: _Source) -> Iterator[FlowFile]:
    if source.is_desktop_flow:
        yield FlowFile(path=source.path, skipped="a desktop flow")
        return
    found = False
    by_file = _GUID_AT_END.match(source.file_name.stem)
    for flow in find_flows_in_document(document := decode_json(source.data)):
        found = True
        yield FlowFile(
            path=source.path,
            flow=flow,
            workflow_id=flow.workflow_id or (by_file["id"].lower() if by_file else None),
            name=flow.name or (by_file["name"] if by_file else _derive_flow_name(source, flow)),
            in_solution=source.in_solution,
        )
    if source.is_expected and not found:
        if _is_in_workflows_folder(source.file_name) and isinstance(document, dict):
            # Not every export identifies its desktop flows.
            yield FlowFile(path=source.path, skipped="not a cloud flow; possibly a desktop flow")
            return
        raise UnreadableFile("the JSON contains no workflow definition with triggers and actions")


def _list_archive_members(archive: _Source) -> Iterator[_Source]:
    if archive.nested >= MOST_NESTED:
        raise UnreadableFile("too many nested archives")
    with open_archive(io.BytesIO(archive.data)) as content:
        archive.allowance.subtract(entries=len(content.infolist()))
        names = {name.lower().replace("\\", "/") for name in content.namelist()}
        in_solution = True if names & _SOLUTION_FILES else None
        customizations = find_customizations_member(content)
        archive.allowance.subtract(size=customizations.file_size if customizations else 0)
        desktop_flows = find_packed_desktop_flow_ids(content, customizations)
        for info in sorted(content.infolist(), key=lambda one: one.filename):
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if info.is_dir() or name.suffix.lower() not in {".json", ".zip"}:
                continue
            path = f"{archive.path}!/{name}"
            if info.flag_bits & 1:
                raise UnreadableFile("the archive is encrypted")
            if info.file_size > _MOST_BYTES:
                raise UnreadableFile(f"{name} is {_TOO_LARGE}")
            archive.allowance.subtract(size=info.file_size)
            yield _Source(
                path=path,
                file_name=name,
                data=read_member(content, info),
                in_solution=in_solution,
                is_expected=_is_path_of_flow(name),
                is_desktop_flow=_get_workflow_id_in_name(name) in desktop_flows,
                nested=archive.nested + 1,
                allowance=archive.allowance,
            )


def _get_workflow_id_in_name(name: PurePosixPath) -> str:
    by_file = _GUID_AT_END.match(name.stem)
    return by_file["id"].lower() if by_file else ""


def _is_path_of_flow(name: PurePosixPath) -> bool:
    """Return whether a file with this path must be a flow (platform.md#client-data)."""
    if name.suffix.lower() != ".json":
        return False
    return _is_in_workflows_folder(name) or name.name.lower() in _FLOW_FILE_NAMES


def _is_in_workflows_folder(name: PurePosixPath) -> bool:
    return name.parent.name.lower() == "workflows"


def _is_unpacked_solution(folder: Path) -> bool:
    root = folder.parent
    return folder.name.lower() == "workflows" and any(
        (root / name).is_file()
        for name in ("solution.xml", "Solution.xml", "Other/Solution.xml", "Other/solution.xml")
    )


def _derive_flow_name(source: _Source, flow: FlowInDocument) -> str:
    is_standard = source.file_name.name.lower() == "workflow.json"
    if is_standard and flow.definition.format is DefinitionFormat.LOGIC_APP:
        return source.file_name.parent.name or source.file_name.stem
    return source.file_name.stem

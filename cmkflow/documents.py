"""Open files, the files in folders and the members of archives, one after the other."""

import io
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cmkflow.archives import (
    DAMAGED,
    DAMAGED_ARCHIVE,
    MEGABYTE,
    MOST_NESTED,
    ArchiveAllowance,
    open_archive,
    open_member,
)
from cmkflow.json_file import UnreadableFile
from cmkflow.named_files import format_path

#: Bytes that are unpacked of an archive with its nested archives.
_MOST_UNPACKED = 1024 * MEGABYTE
#: Size of a nested archive, which is kept in memory, in bytes.
_MOST_IN_MEMORY = 128 * MEGABYTE
_ARCHIVE_START = b"PK\x03\x04"
_VERSION_CONTROL = ".git"
#: What reading a document raises.
READ_ERRORS = (UnreadableFile, *DAMAGED_ARCHIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that is open for reading, or the reason why a file or folder is not read."""

    #: as given; members of an archive follow `!/`
    path: str
    #: closed when the next document is asked for; None if it cannot be read
    stream: IO[bytes] | None = None
    #: why it cannot be read
    problem: str = ""
    #: why it is left out
    skipped: str = ""


def open_documents(paths: Iterable[Path]) -> Iterator[Document]:
    """Yield the files at these paths, the files in folders, and the members of archives.

    Files of a folder are sorted by path.
    """
    for path in paths:
        if not path.is_dir():
            yield from _open_path(path)
            continue
        closed: list[OSError] = []
        found: list[Path] = []
        for folder, folders, names in path.walk(on_error=closed.append):
            if _VERSION_CONTROL in folders:
                folders.remove(_VERSION_CONTROL)
                yield Document(
                    path=format_path(folder / _VERSION_CONTROL), skipped="version control"
                )
            found += [folder / name for name in names]
        for file in sorted(found):
            if file.is_dir():  # it may lead to a loop
                yield Document(path=format_path(file), skipped="a link to a folder")
            else:
                yield from _open_path(file)
        for error in closed:
            yield Document(
                path=format_path(Path(str(error.filename))), problem=describe_read_error(error)
            )


def describe_read_error(error: Exception) -> str:
    """Return why a file cannot be read. The text of an unknown exception is not shown, because it
    may quote the file.
    """
    match error:
        case UnreadableFile():
            return str(error)
        case OSError(strerror=str(reason)):
            return reason
    return DAMAGED


def _open_path(path: Path) -> Iterator[Document]:
    shown = format_path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # for example a pipe, whose end may never come
            yield Document(path=shown, problem="not a regular file")
            return
        with path.open("rb") as stream:
            allowance = ArchiveAllowance(bytes=_MOST_UNPACKED)
            yield from _open_stream(shown, stream, allowance, nested=0)
    except OSError as error:
        yield Document(path=shown, problem=describe_read_error(error))


def _open_stream(
    path: str, stream: IO[bytes], allowance: ArchiveAllowance, *, nested: int
) -> Iterator[Document]:
    start = stream.read(len(_ARCHIVE_START))
    stream.seek(0)
    if start != _ARCHIVE_START and not path.lower().endswith(".zip"):
        yield Document(path=path, stream=stream)
        return
    try:
        if nested >= MOST_NESTED:
            raise UnreadableFile("too many nested archives")
        with open_archive(_read_nested_archive(stream) if nested else stream) as archive:
            yield from _open_archive_members(path, archive, allowance, nested=nested + 1)
    except READ_ERRORS as error:
        yield Document(path=path, problem=describe_read_error(error))


def _read_nested_archive(stream: IO[bytes]) -> IO[bytes]:
    """Read a nested archive into memory. Raises `UnreadableFile` if it is too large."""
    content = stream.read(_MOST_IN_MEMORY + 1)
    if len(content) > _MOST_IN_MEMORY:
        raise UnreadableFile(f"the nested archive is larger than {_MOST_IN_MEMORY // MEGABYTE} MB")
    return io.BytesIO(content)


def _open_archive_members(
    path: str, archive: zipfile.ZipFile, allowance: ArchiveAllowance, *, nested: int
) -> Iterator[Document]:
    allowance.subtract(entries=len(archive.infolist()))
    for info in sorted(archive.infolist(), key=lambda one: one.filename):
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            raise UnreadableFile("the archive is encrypted")
        allowance.subtract(size=info.file_size)
        name = info.filename.replace("\\", "/")
        with open_member(archive, info) as member:
            yield from _open_stream(f"{path}!/{name}", member, allowance, nested=nested)

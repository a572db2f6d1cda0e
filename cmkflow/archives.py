"""Open zip archives, and limit how much of them is unpacked."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from cmkflow.json_file import UnreadableFile

MEGABYTE = 1024 * 1024
#: Nesting limit; real exports nest once (a package inside a solution).
MOST_NESTED = 5
#: What reading a damaged archive raises.
DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError),
)
DAMAGED = "the archive is damaged or has an unknown format"
_MOST_ENTRIES = 20_000
_INSTEAD = "unpack it and pass its parts"


class TooMuchUnpacked(UnreadableFile):
    """An archive unpacks to more bytes, or has more entries, than allowed."""


@dataclass(slots=True, kw_only=True)
class ArchiveAllowance:
    """How many bytes and entries may still be unpacked from a file and its nested archives."""

    bytes: int
    entries: int = _MOST_ENTRIES
    _most_bytes: int = 0

    def __post_init__(self) -> None:
        self._most_bytes = self.bytes

    def subtract(self, *, size: int = 0, entries: int = 0) -> None:
        """Subtract bytes and entries. Raises `TooMuchUnpacked` if fewer are left."""
        self.bytes -= size
        self.entries -= entries
        if self.bytes < 0:
            megabytes = self._most_bytes // MEGABYTE
            raise TooMuchUnpacked(f"it unpacks to more than {megabytes} MB: {_INSTEAD}")
        if self.entries < 0:
            raise TooMuchUnpacked(f"it has more than {_MOST_ENTRIES:,} entries: {_INSTEAD}")


def open_archive(stream: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip archive.

    If it is damaged, raises `UnreadableFile` or one of the exceptions in `DAMAGED_ARCHIVE`.
    """
    with _convert_offset_errors():
        return zipfile.ZipFile(stream)


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member of a zip archive. Raises the same exceptions as `open_archive`."""
    with _convert_offset_errors():
        return archive.open(member)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member. Raises the same exceptions as `open_archive`."""
    with open_member(archive, member) as stream:
        return stream.read()


@contextmanager
def _convert_offset_errors() -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise UnreadableFile(DAMAGED) from None

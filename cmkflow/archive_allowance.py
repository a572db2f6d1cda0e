"""Limit what is unpacked of an archive."""

from dataclasses import dataclass

from cmkflow.json_file import UnreadableFile

MEGABYTE = 1024 * 1024
#: Nesting limit; real exports nest once (a package inside a solution).
MOST_NESTED = 5
_MOST_ENTRIES = 20_000
_INSTEAD = "unpack it and pass its parts"


class TooMuchUnpacked(UnreadableFile):
    """An archive exceeds the size or entry limit; the rest of it is not read."""


@dataclass(slots=True, kw_only=True)
class ArchiveAllowance:
    """Remaining bytes and entries that may be unpacked of a file and its nested archives."""

    bytes: int
    entries: int = _MOST_ENTRIES
    _most_bytes: int = 0

    def __post_init__(self) -> None:
        """Keep the limit for the message."""
        self._most_bytes = self.bytes

    def take(self, *, size: int = 0, entries: int = 0) -> None:
        """Subtract from the remaining amount; raise `TooMuchUnpacked` if none is left."""
        self.bytes -= size
        self.entries -= entries
        if self.bytes < 0:
            megabytes = self._most_bytes // MEGABYTE
            raise TooMuchUnpacked(f"it unpacks to more than {megabytes} MB: {_INSTEAD}")
        if self.entries < 0:
            raise TooMuchUnpacked(f"it has more than {_MOST_ENTRIES:,} entries: {_INSTEAD}")

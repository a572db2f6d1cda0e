"""Read a log that a process still writes, without reading a part of it twice."""

from pathlib import Path


class LogReader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read_new_lines(self) -> list[str]:
        """Return the complete lines that were added since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as log:
            log.seek(self._position)
            text, end, _ = log.read().rpartition(b"\n")
        self._position += len(text + end)
        return text.decode().splitlines()

"""Print the processor time of `cmkflow`'s scan of a text for ids, divided by that of a regular
expression.

Both read the same chunks, so that the allocator of the process does not change the ratio. They are
measured alternately, and the shortest times are compared, because other work on the machine can
only make a measurement longer.

    python -m tests.performance.scan_time
"""

import gc
import re
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import islice, permutations
from pathlib import Path
from tempfile import TemporaryDirectory

from cmkflow.scan_stream import scan_stream

#: Ids that are sought, and those of them that the file contains.
SOUGHT, PRESENT = 10_000, 100
_MEGABYTE = 1024 * 1024
_TURNS = 7
_CHUNK = 512 * 1024
_ID = re.compile(rb"[0-9a-f]{32}")
_WORDS = (
    *('"name":', '"value":', "{", "}", "https://contoso.example/orders/17", "Größe", "queue"),
    *("deadbeef", "0123", "feed", "settings", "connection", "ffad", "environment", "4711"),
)


def measure_scan(folder: Path, megabytes: int) -> tuple[float, int]:
    """Return the scan's time divided by that of a regular expression, and the number of ids that
    the scan finds.

    The expression finds any 32 hex digits. It neither compares them with the ids nor reads the text
    around them.
    """
    file, ids = folder / "large.txt", _make_ids()
    _write_file(file, ids[:PRESENT], megabytes)
    sought = {one.encode() for one in ids}
    found = 0

    def scan() -> None:
        nonlocal found
        with file.open("rb") as stream:
            found = sum(1 for _ in scan_stream(stream, sought))

    def search() -> None:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                for _ in _ID.finditer(chunk):
                    pass

    scan()  # what a process does once is done here
    turns = [(_measure_seconds(scan), _measure_seconds(search)) for _ in range(_TURNS)]
    scanning, searching = map(min, zip(*turns, strict=True))
    return scanning / searching, found


def _make_ids() -> list[str]:
    return [sha256(str(number).encode()).hexdigest()[:32] for number in range(SOUGHT)]


def _write_file(file: Path, ids: list[str], megabytes: int) -> None:
    """Write lines of words, and between them lines with a trigger URL."""
    lines = islice(permutations(_WORDS, 10), 5_000)
    block = "".join(" ".join(words) + "\n" for words in lines)
    size = megabytes * _MEGABYTE
    with file.open("w", encoding="utf-8") as target:
        for identity in ids:
            target.write(
                f"https://prod-65.westus.logic.azure.com/workflows/{identity}/triggers/manual/paths"
                f"/invoke?api-version=2016-06-01&sp=%2Ft&sv=1.0&sig={'s' * 43}\n"
            )
            part = size // len(ids)
            target.write((block * (1 + part // len(block)))[:part])


def _measure_seconds(action: Callable[[], None]) -> float:
    """Return the processor time of this thread for an action, without garbage collection."""
    gc.disable()
    try:
        before = time.thread_time()
        action()
        return time.thread_time() - before
    finally:
        gc.enable()


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        print(f"{measure_scan(Path(name), 100)[0]:.2f}")

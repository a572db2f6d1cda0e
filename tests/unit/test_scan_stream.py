import io
import tracemalloc

import pytest

from cmkflow.scan_stream import scan_stream
from shared.domain.callers.scan_document import BYTES_AFTER, BYTES_BEFORE

URL_ID = "a16d54f586e52346f4beb14221f84c30"
URL = (
    f"https://x.environment.api.powerplatform.com/workflows/{URL_ID}/triggers/manual/paths/invoke"
    f"?api-version=1&sp=%2Ft&sv=1.0&sig={'s' * 43}"
)
#: Twice the size of a chunk.
_LONG = 1024 * 1024
_LINES = ("ö" * 31 + "\n") * (1024 * 32)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("boundary", [_LONG // 2, _LONG // 2 - BYTES_AFTER])
@pytest.mark.parametrize("ids", [None, {URL_ID.encode()}])
def test_url_at_the_boundary_of_a_chunk_is_found_once(
    encoding: str, boundary: int, ids: set[bytes] | None
) -> None:
    mark = "\ufeff" if encoding != "utf-8" else ""
    for place in range(boundary - 400, boundary + 40, 16):
        ahead = (mark + _LINES)[: place // len("ö".encode(encoding))]
        data = (ahead + URL + "\n").encode(encoding) + "x".encode(encoding) * BYTES_AFTER

        [found] = scan_stream(io.BytesIO(data), ids)

        assert found.offset == len(ahead.encode(encoding))
        assert found.line == ahead.count("\n") + 1
        assert not found.reference.manual_reason


def test_url_id_inside_a_long_hex_number_is_found() -> None:
    """The file consists of one hexadecimal number."""
    data = b"0" * (_LONG + 5) + URL_ID.encode() + b"0" * (2 * BYTES_BEFORE)

    [found] = scan_stream(io.BytesIO(data), {URL_ID.encode()})

    assert found.offset == _LONG + 5


class _Endless(io.RawIOBase):
    """A file of a given size, whose content is generated while the file is read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(size, self._left)
        self._left -= taken
        return (b"one line of text\n" * (taken // 17 + 1))[:taken]


def test_memory_use_does_not_depend_on_the_file_size() -> None:
    """Log files may be larger than the memory."""

    def measure(size: int) -> int:
        tracemalloc.start()
        assert list(scan_stream(_Endless(size), None)) == []  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert measure(64 * _LONG) < 1.1 * measure(4 * _LONG)

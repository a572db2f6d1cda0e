import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkflow.documents import READ_ERRORS, open_documents
from cmkflow.flow_files import read_flow_files
from cmkflow.scan_stream import BinaryFile, scan_stream

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _pack(compression: int, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return buffer.getvalue()


_ARCHIVES = [
    _pack(one, a_json=b'{"x": 1}', customizations_xml=b"<a/>", b_zip=_pack(one, c_json=b"{}"))
    for one in _COMPRESSIONS
]


@st.composite
def _draw_damaged_archive(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(_ARCHIVES)))
    for place, byte in draw(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)
    ):
        data[place] = byte
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


def _scan(file: Path) -> None:
    for document in open_documents([file]):
        if document.stream is not None:
            try:
                list(scan_stream(document.stream, None))
            except (BinaryFile, *READ_ERRORS):
                continue


# Names that occur twice are a warning of zipfile.
@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(data=_draw_damaged_archive())
def test_damaged_archive_raises_no_error(data: bytes) -> None:
    """The two commands that read archives must continue with the next file."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "a.zip")
        file.write_bytes(data)

        _scan(file)
        list(read_flow_files([file]))

from contextlib import suppress
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile

import pytest

from shared.adapters.power_apps.canvas_app_document import find_flow_ids
from shared.errors import InvalidInput

FLOW = "0f3c6f4e-5f0c-4a8f-9d52-2b7c1f0a9e11"
SOURCES = f'{{"{FLOW}": "/providers/microsoft.powerapps/apis/shared_logicflows"}}' * 20


def build_document(compression: int) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", compression) as archive:
        archive.writestr("References\\DataSources.json", SOURCES)
    return file.getvalue()


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
def test_damaged_document_raises_at_most_invalid_input(compression: int) -> None:
    """Whichever byte is wrong, the search returns ids or raises `InvalidInput`."""
    whole = build_document(compression)
    assert find_flow_ids(whole) == {FLOW}

    for place in range(len(whole)):
        for wrong in (0x00, 0x55, 0xFF):
            damaged = whole[:place] + bytes([wrong]) + whole[place + 1 :]
            with suppress(InvalidInput):
                find_flow_ids(damaged)


def test_truncated_document_raises_invalid_input() -> None:
    """An interrupted download must not look like an app without flows."""
    whole = build_document(ZIP_DEFLATED)
    for end in range(len(whole)):
        with pytest.raises(InvalidInput):
            find_flow_ids(whole[:end])

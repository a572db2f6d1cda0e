"""Find the ids of flows in a canvas app's document (`.msapp`, a ZIP file).

The format is undocumented. So all ids in the files about connections are returned, to be compared
with the ids of existing flows. See platform.md#canvas-apps.
"""

import re
import zlib
from io import BytesIO
from lzma import LZMAError
from zipfile import BadZipFile, ZipFile

from shared.errors import InvalidInput

FLOW_CONNECTOR = "shared_logicflows"
_FILES = ("connections.json", "datasources.json")
#: Maximum uncompressed bytes of a file, against ZIP bombs. No app's list of connections is larger.
_LARGEST = 16 * 1024 * 1024
#: Errors for damaged archives: each compression method has its own.
_DAMAGED = (BadZipFile, zlib.error, LZMAError, EOFError, OSError, RuntimeError, ValueError)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def find_flow_ids(document: bytes) -> frozenset[str]:
    """Return the ids, in lower case, in the document's files about connections.

    Raises `InvalidInput` if the document is not a readable ZIP file.
    """
    try:
        with ZipFile(BytesIO(document)) as archive:
            texts = [
                archive.read(info).decode(errors="replace")
                for info in archive.infolist()
                if re.split(r"[\\/]", info.filename.lower())[-1] in _FILES
                and info.file_size <= _LARGEST
            ]
    except _DAMAGED:
        raise InvalidInput("It is not a ZIP file that can be read.") from None
    return frozenset(one for text in texts for one in find_ids_in_text(text))


def find_ids_in_text(text: str) -> frozenset[str]:
    """Return the ids, in lower case, in a text that mentions the connector of flows."""
    lower = text.lower()
    return frozenset(_GUID.findall(lower)) if FLOW_CONNECTOR in lower else frozenset()

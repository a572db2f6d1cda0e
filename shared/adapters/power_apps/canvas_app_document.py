"""Reads which flows a canvas app names, from its document (`.msapp`, a ZIP file).

The format is not documented. So every id in the files about connections is given, and the reader
compares them with the flows that there are: no other thing of an app has a flow's id.

See platform.md#canvas-apps.
"""

import re
import zlib
from io import BytesIO
from lzma import LZMAError
from zipfile import BadZipFile, ZipFile

from shared.errors import InvalidInput

FLOW_CONNECTOR = "shared_logicflows"
_FILES = ("connections.json", "datasources.json")
#: More than any app's list of connections takes; a ZIP file can hold far more than it weighs.
_LARGEST = 16 * 1024 * 1024
#: What reading a damaged archive raises: each method of compression has an error of its own.
_DAMAGED = (BadZipFile, zlib.error, LZMAError, EOFError, OSError, RuntimeError, ValueError)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def flow_ids_in(document: bytes) -> frozenset[str]:
    """Return the lower-case ids in the files about connections; raises `InvalidInput`."""
    try:
        with ZipFile(BytesIO(document)) as archive:
            texts = [
                archive.read(info).decode(errors="replace")
                for info in archive.infolist()
                if re.split(r"[\\/]", info.filename.lower())[-1] in _FILES
                and info.file_size <= _LARGEST
            ]
    except _DAMAGED as err:
        raise InvalidInput(f"The app's document cannot be read: {type(err).__name__}") from None
    return frozenset(one for text in texts for one in ids_in(text))


def ids_in(text: str) -> frozenset[str]:
    """Return the ids of a text that speaks of the connector of flows, in lower case."""
    lower = text.lower()
    return frozenset(_GUID.findall(lower)) if FLOW_CONNECTOR in lower else frozenset()

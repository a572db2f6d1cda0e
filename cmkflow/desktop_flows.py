"""Which files of a solution's `Workflows` folder are desktop flows: what the solution's XML says.

They lie there beside cloud flows (contract §15.2). The XML is searched, not parsed: it comes from
anybody, and two values of it are needed.
"""

import re
import zipfile
from pathlib import Path

#: Packed, one file tells of all; unpacked, each has one of its own beside it.
_CUSTOMIZATIONS = "customizations.xml"
_DATA = ".data.xml"
_CATEGORY = re.compile(
    rb"<Workflow\b[^>]*\bWorkflowId=\"\{?(?P<id>[0-9a-f-]{36})\}?\"[^>]*>"
    rb"(?:(?!</Workflow>).)*?<Category>(?P<category>\d+)</Category>",
    re.IGNORECASE | re.DOTALL,
)
#: `workflow.category` (contract §6.1).
_DESKTOP_FLOW = b"6"
_MOST_BYTES = 64 * 1024 * 1024


def is_unpacked_desktop_flow(file: Path) -> bool:
    """Say whether the XML beside a file of an unpacked solution calls it a desktop flow."""
    beside = file.with_name(file.name + _DATA)
    return beside.is_file() and bool(_desktop_flows(beside.read_bytes()))


def packed_desktop_flows(archive: zipfile.ZipFile) -> frozenset[str]:
    """Return the workflow ids of a packed solution's desktop flows, in lower case."""
    for info in archive.infolist():
        is_encrypted = bool(info.flag_bits & 1)
        if info.filename.lower() == _CUSTOMIZATIONS and not is_encrypted:
            return _desktop_flows(archive.read(info)) if info.file_size <= _MOST_BYTES else _NONE
    return _NONE


_NONE = frozenset[str]()


def _desktop_flows(xml: bytes) -> frozenset[str]:
    return frozenset(
        found["id"].decode().lower()
        for found in _CATEGORY.finditer(xml)
        if found["category"] == _DESKTOP_FLOW
    )

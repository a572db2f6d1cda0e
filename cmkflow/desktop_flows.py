"""Which files of a solution's `Workflows` folder are desktop flows: what the solution's XML says.

They lie there beside cloud flows (platform.md#desktop-flows). The XML is searched, not parsed: it
comes from anybody, and two values of it are needed.
"""

import re
import zipfile
from pathlib import Path

#: Packed, one file tells of all; unpacked, each has one of its own beside it.
_CUSTOMIZATIONS = "customizations.xml"
_DATA = ".data.xml"
_WORKFLOW = re.compile(rb"</?Workflow\b", re.IGNORECASE)
_ID = re.compile(rb"\bWorkflowId=\"\{?([0-9a-f-]{36})\}?\"", re.IGNORECASE)
_CATEGORY = re.compile(rb"<Category>(\d+)</Category>", re.IGNORECASE)
#: `workflow.category` (platform.md#desktop-flows).
_DESKTOP_FLOW = b"6"
_MOST_BYTES = 64 * 1024 * 1024


def is_unpacked_desktop_flow(file: Path) -> bool:
    """Say whether the XML beside a file of an unpacked solution calls it a desktop flow."""
    beside = file.with_name(file.name + _DATA)
    return beside.is_file() and bool(_desktop_flows(beside.read_bytes()))


def customizations_of(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """Return the member of a packed solution that tells of its workflows, if it can be read."""
    for info in archive.infolist():
        if info.filename.lower() == _CUSTOMIZATIONS:
            is_encrypted = bool(info.flag_bits & 1)
            return None if is_encrypted or info.file_size > _MOST_BYTES else info
    return None


def packed_desktop_flows(
    archive: zipfile.ZipFile, customizations: zipfile.ZipInfo | None
) -> frozenset[str]:
    """Return the workflow ids of a packed solution's desktop flows, in lower case."""
    return _desktop_flows(archive.read(customizations)) if customizations else frozenset()


def _desktop_flows(xml: bytes) -> frozenset[str]:
    found = set()
    # Cut at each tag, so that the time grows with the length alone, whatever stands there.
    for element in _WORKFLOW.split(xml)[1:]:
        tag, _, inner = element.partition(b">")
        identity, category = _ID.search(tag), _CATEGORY.search(inner)
        if identity and category and category[1] == _DESKTOP_FLOW:
            found.add(identity[1].decode().lower())
    return frozenset(found)

"""Find the desktop flows of a solution, which are stored beside its cloud flows
(platform.md#desktop-flows).

The solution's XML is searched and not parsed, because it is untrusted.
"""

import re
import zipfile
from pathlib import Path

from cmkflow.archives import read_member

#: A packed solution has one such file, an unpacked solution one per workflow.
_CUSTOMIZATIONS = "customizations.xml"
_DATA = ".data.xml"
_WORKFLOW = re.compile(rb"</?Workflow\b", re.IGNORECASE)
_ID = re.compile(rb"\bWorkflowId=\"\{?([0-9a-f-]{36})\}?\"", re.IGNORECASE)
_CATEGORY = re.compile(rb"<Category>(\d+)</Category>", re.IGNORECASE)
#: `workflow.category` (platform.md#desktop-flows).
_DESKTOP_FLOW = b"6"
_MOST_BYTES = 64 * 1024 * 1024


def is_part_of_unpacked_desktop_flow(file: Path) -> bool:
    """Return whether the XML file beside this file describes a desktop flow."""
    beside = file.with_name(file.name + _DATA)
    return beside.is_file() and bool(_find_desktop_flow_ids(beside.read_bytes()))


def find_customizations_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """Return the archive member `customizations.xml`, which lists the workflows of a solution.
    Returns None if it is missing, encrypted or too large.
    """
    for info in archive.infolist():
        if info.filename.lower() == _CUSTOMIZATIONS:
            is_encrypted = bool(info.flag_bits & 1)
            return None if is_encrypted or info.file_size > _MOST_BYTES else info
    return None


def find_packed_desktop_flow_ids(
    archive: zipfile.ZipFile, customizations: zipfile.ZipInfo | None
) -> frozenset[str]:
    """Return the workflow ids of a packed solution's desktop flows, in lower case."""
    return (
        _find_desktop_flow_ids(read_member(archive, customizations))
        if customizations
        else frozenset()
    )


def _find_desktop_flow_ids(xml: bytes) -> frozenset[str]:
    found = set()
    # Split at tags, so that the time is linear in the length for any content.
    for element in _WORKFLOW.split(xml)[1:]:
        tag, _, inner = element.partition(b">")
        identity, category = _ID.search(tag), _CATEGORY.search(inner)
        if identity and category and category[1] == _DESKTOP_FLOW:
            found.add(identity[1].decode().lower())
    return frozenset(found)

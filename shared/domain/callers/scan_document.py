"""Scan documents of any format for trigger URLs and ids of flows.

A document is searched in parts, so that its size does not matter.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.domain.callers.caller_edit import CHILD_REFERENCE
from shared.domain.trigger_urls.find_ids import find_known_ids, find_possible_ids
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST
from shared.domain.trigger_urls.url_layout import (
    UrlLayout,
    find_layout_around,
    is_inside_another,
)

#: Bytes before and after an id that are read to understand it; no URL is longer.
BYTES_BEFORE = 4_096
BYTES_AFTER = 16_384

_SLASH = r"(?:/|\\+/|\\+u002F|%(?:25)*2F|&\#x2F;|&\#47;|&sol;)"
_BEFORE = re.compile(
    rf"""
    (?:
      (?<!%)(?<!%2)(?<!%25)(?<!%252)
      (?P<host>[A-Z0-9-]+(?:\.[A-Z0-9-]+)+)(?:(?::|%(?:25)*3A)[0-9]{{1,5}})?
      (?:{_SLASH}[A-Z0-9_.~-]+){{0,12}}?{_SLASH}
    )?
    (?P<path>workflows){_SLASH}\Z
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
#: A host of 253 characters, and twelve parts of a path.
_LONGEST_BEFORE = 500
_AFTER = re.compile(
    rf"""
    {_SLASH}(?:versions{_SLASH}[A-Z0-9]+{_SLASH})?
    triggers{_SLASH}[A-Z0-9_.~!$()*:@%-]+?{_SLASH}(?:paths{_SLASH}invoke|run)(?![A-Z0-9_-])
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_URL_PART = "workflows"
#: Bytes before an id in which its path names it, with a slash that is percent-encoded many times.
_NEAR = 40
_BEFORE_CHILD = re.compile(rf'"{CHILD_REFERENCE}"\s*:\s*"\{{?\Z')


class ReferenceShape(StrEnum):
    """How a document refers to a flow."""

    #: A trigger URL as the platform gives it, or escaped as a whole.
    PLAIN_URL = "plain_url"
    JSON_ESCAPED_URL = "json_escaped_url"
    XML_ESCAPED_URL = "xml_escaped_url"
    PERCENT_ENCODED_URL = "percent_encoded_url"
    #: Percent-encoded in part, such as `https://host%2Fworkflows%2F…`.
    PARTLY_ENCODED_URL = "partly_encoded_url"
    #: In the query of another trigger URL.
    NESTED_URL = "nested_url"
    #: `/workflows/…/versions/…/triggers/…`, which runs a fixed version of the flow.
    VERSION_URL = "version_url"
    #: The path of a trigger URL; the scheme, and perhaps the host, are elsewhere.
    PATH = "path"
    #: The workflow id of a child flow, in an action that runs it.
    CHILD_FLOW = "child_flow"
    #: An id alone.
    ID = "id"


#: Why a person has to change a reference; a URL of another shape only if it is not complete.
_MANUAL_REASONS = {
    ReferenceShape.PARTLY_ENCODED_URL: "Only a part of the URL is percent-encoded. Replace it.",
    ReferenceShape.NESTED_URL: "The URL is a part of another trigger URL. Replace it there.",
    ReferenceShape.VERSION_URL: (
        "The URL runs a fixed version of the flow. Replace it by the URL of the copy."
    ),
    ReferenceShape.PATH: (
        "The URL begins in another value, or is not escaped in a known way. Change all its parts."
    ),
    ReferenceShape.ID: "Only the id is here. Find out what uses it.",
}
_INCOMPLETE = "Another value completes the URL, for example its signature. Change that value too."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedReference:
    """A trigger URL or flow id that was found in a document, without any signature."""

    #: Where the URL, path or id begins, in bytes from the start of the document's part.
    start: int
    #: A trigger URL id, or a workflow id with its dashes; in lower case.
    id: str
    #: None if the host is not with the id.
    host: str | None
    shape: ReferenceShape
    #: Why a person has to change it; empty if its replacement is certain.
    manual_reason: str

    @property
    def is_broken(self) -> bool:
        """Return whether its host has stopped serving flows (platform.md#retired-hosts)."""
        return self.host is not None and self.host.endswith(f".{RETIRED_HOST}")


def scan_document_part(
    part: bytes, ids: Collection[bytes] | None, *, start: int, end: int
) -> Iterator[ScannedReference]:
    """Yield the references whose id begins between the offsets `start` and `end`, in order.

    `part` is in UTF-8 or another encoding that contains ASCII. It includes up to `BYTES_BEFORE`
    bytes before `start` and `BYTES_AFTER` after `end`. `ids` are 32 hex digits in lower case,
    without dashes: each occurrence of one is a reference. If `ids` is None, each trigger URL is a
    reference.
    """
    found = find_possible_ids(part) if ids is None else find_known_ids(part, ids)
    for first, last in found:
        if not start <= first < end:
            continue
        if ids is None and _URL_PART.encode() not in part[max(0, first - _NEAR) : first].lower():
            continue
        before = part[max(0, first - BYTES_BEFORE) : first].decode(errors="replace")
        after = part[first : last + BYTES_AFTER].decode(errors="replace")
        reference = _build_reference(before + after, len(before), len(before) + last - first)
        if ids is not None or reference.shape is not ReferenceShape.ID:
            # Every character of a URL up to its id is one byte.
            yield replace(reference, start=first - (len(before) - reference.start))


def _build_reference(text: str, id_start: int, id_end: int) -> ScannedReference:
    start, host, reason = id_start, None, ""
    if layout := find_layout_around(text, id_start):
        start, host, shape = layout.start, layout.host, _detect_reference_shape(text, layout)
        reason = _MANUAL_REASONS.get(shape, "" if layout.is_replaceable else _INCOMPLETE)
    elif path := _find_url_start(text, id_start, id_end):
        (start, host), shape = path, ReferenceShape.PATH
        reason = _MANUAL_REASONS[shape]
    else:
        is_child = _BEFORE_CHILD.search(text, max(0, id_start - _LONGEST_BEFORE), id_start)
        shape = ReferenceShape.CHILD_FLOW if is_child else ReferenceShape.ID
        reason = _MANUAL_REASONS.get(shape, "")
    return ScannedReference(
        start=start,
        id=text[id_start:id_end].lower(),
        host=host,
        shape=shape,
        manual_reason=reason,
    )


def _find_url_start(text: str, id_start: int, id_end: int) -> tuple[int, str | None] | None:
    """Return where a trigger URL without its scheme begins, and its host if it has one."""
    near = text[max(0, id_start - _NEAR) : id_start].lower()
    if _URL_PART not in near or not _AFTER.match(text, id_end):
        return None
    before = _BEFORE.search(text, max(0, id_start - _LONGEST_BEFORE), id_start)
    if before is None:
        return None
    host: str | None = before["host"]
    return (before.start("path"), None) if host is None else (before.start(), host.lower())


def _detect_reference_shape(text: str, layout: UrlLayout) -> ReferenceShape:
    if is_inside_another(text, layout):
        return ReferenceShape.NESTED_URL
    if layout.has_version:
        return ReferenceShape.VERSION_URL
    if layout.is_partly_encoded:
        return ReferenceShape.PARTLY_ENCODED_URL
    if layout.level:
        return ReferenceShape.PERCENT_ENCODED_URL
    if "\\" in layout.slash + layout.ampersand:
        return ReferenceShape.JSON_ESCAPED_URL
    if len(layout.ampersand) > 1:
        return ReferenceShape.XML_ESCAPED_URL
    return ReferenceShape.PLAIN_URL

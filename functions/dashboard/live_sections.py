"""Send a browser only the sections of a page that have changed since it last asked.

A section is an element with an id and `data-live`, and ends with a comment that names the id. A
section may have parts, such as the rows of a list: elements with `data-part` that also end with a
comment. The page has a hash of each, and the browser sends the hashes that it has.
"""

import re
from hashlib import sha256

_SECTION = re.compile(
    r'<(?P<tag>div|section)(?P<before>[^>]*? id="(?P<id>[\w-]+)") data-live(?:="(?P<hash>\w+)")?'
    r"(?P<rest>.*?)<!--/(?P=id)-->",
    re.DOTALL,
)
_PART = re.compile(
    r'<(?P<tag>li|div|tr) data-part(?:="(?P<hash>\w+)")?(?P<rest>.*?)<!--/part-->', re.DOTALL
)
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
#: Hexadecimal digits of a hash: one change of 10^12 is missed.
_HASH_LENGTH = 10


def add_hashes(page: str) -> str:
    """Return the page with a hash of each section and part, as an attribute of its element."""
    return _SECTION.sub(_add_section_hash, _PART.sub(_add_part_hash, page))


def select_changed_sections(page: str, known: str) -> str:
    """Return the title and the changed sections of a page, or an empty text if nothing has changed.

    `page` has hashes, and `known` contains the hashes that the browser has, separated by spaces. A
    part that the browser has is replaced by an empty element.
    """
    hashes = frozenset(known.split())

    def empty_known_part(part: re.Match[str]) -> str:
        if part["hash"] not in hashes:
            return part[0]
        return f'<{part["tag"]} data-part="{part["hash"]}"></{part["tag"]}>'

    changed = [
        _PART.sub(empty_known_part, section[0])
        for section in _SECTION.finditer(page)
        if section["hash"] not in hashes
    ]
    title = _TITLE.search(page)
    return "\n".join([title[0] if title else "", *changed]) if changed else ""


def _add_section_hash(found: re.Match[str]) -> str:
    return (
        f'<{found["tag"]}{found["before"]} data-live="{_compute_hash(found)}"{found["rest"]}'
        f"<!--/{found['id']}-->"
    )


def _add_part_hash(found: re.Match[str]) -> str:
    return f'<{found["tag"]} data-part="{_compute_hash(found)}"{found["rest"]}<!--/part-->'


def _compute_hash(found: re.Match[str]) -> str:
    return sha256(found[0].encode()).hexdigest()[:_HASH_LENGTH]

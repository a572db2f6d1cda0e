"""Build the names of copies and retired originals, within the length that Dataverse accepts.

If the suffix makes a name too long, the name is shortened, never the suffix. The job's row keeps
the full name. See platform.md#long-names.
"""

import unicodedata
from collections.abc import Iterator

#: Length of `workflow.name` in Microsoft's table reference, which names no unit. UTF-16 code units,
#: as in SQL Server, are the strictest reading.
LIMIT = 100
#: Suffix of a copy until it takes the original's name.
COPY_SUFFIX = " (CMK)"
#: Suffix of a retired original.
RETIRED_SUFFIX = " (retired, MMK)"
_ELLIPSIS = "…"
_JOINER = "\u200d"
#: Unicode categories of marks that belong to the character before them: accents, variation
#: selectors, joiners, direction marks.
_CONTINUING = frozenset({"Mn", "Mc", "Me", "Cf"})


def build_copy_name(title: str) -> str:
    """Return the name for the copy of a flow."""
    return shorten_with_suffix(title, COPY_SUFFIX)


def build_retired_name(title: str) -> str:
    """Return the name that an original gets when it is retired.

    A name that is already longer than Dataverse accepts stays unchanged, because it could not be
    restored.
    """
    return (
        title if _count_utf16_units(title) > LIMIT else shorten_with_suffix(title, RETIRED_SUFFIX)
    )


def shorten_with_suffix(title: str, suffix: str = "") -> str:
    """Return the name with its suffix. A name that is then too long for Dataverse is shortened.

    The result has at most `LIMIT` UTF-16 units. No character is split.
    """
    if _count_utf16_units(title + suffix) <= LIMIT:
        return title + suffix
    left = LIMIT - _count_utf16_units(_ELLIPSIS + suffix)
    kept = ""
    for character in _split_into_characters(title):
        if _count_utf16_units(kept + character) > left:
            break
        kept += character
    return kept.rstrip() + _ELLIPSIS + suffix


def _count_utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _split_into_characters(text: str) -> Iterator[str]:
    """Yield the characters as a reader sees them, approximately as in Unicode annex 29."""
    character = ""
    for one in text:
        if character and not _extends_character(character, one):
            yield character
            character = ""
        character += one
    if character:
        yield character


def _extends_character(character: str, one: str) -> bool:
    if unicodedata.category(one) in _CONTINUING or character.endswith(_JOINER):
        return True
    is_skin_tone = "\U0001f3fb" <= one <= "\U0001f3ff"
    return is_skin_tone or (
        _is_regional_indicator(one) and len(character) == 1 and _is_regional_indicator(character)
    )


def _is_regional_indicator(one: str) -> bool:
    return "\U0001f1e6" <= one <= "\U0001f1ff"

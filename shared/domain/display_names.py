"""Display names of originals and copies: what is put behind them, and how much Dataverse takes.

A name that its suffix makes too long is shortened, never the suffix; the whole name is in the job's
row. Real names have 255 characters, emoji, and marks of direction (platform.md#long-names).
"""

import unicodedata
from collections.abc import Iterator

#: `workflow.name` by Microsoft's table reference, which does not say in what it counts: UTF-16 code
#: units, as SQL Server does, are the most that it can mean.
LIMIT = 100
#: What a copy is called until it takes the original's name.
COPY_SUFFIX = " (CMK)"
#: What a retired original is called from then on.
RETIRED_SUFFIX = " (retired, MMK)"
_ELLIPSIS = "…"
_JOINER = "\u200d"
#: Marks that belong to the character before them: accents, variation selectors, joiners, direction.
_CONTINUING = frozenset({"Mn", "Mc", "Me", "Cf"})


def copy_name(title: str) -> str:
    """Return what the copy of a flow with this name is called."""
    return shortened(title, COPY_SUFFIX)


def retired_name(title: str) -> str:
    """Return what a retired original is called that had this name.

    One that is longer than Dataverse takes now stays: it could not be given back.
    """
    return title if _units(title) > LIMIT else shortened(title, RETIRED_SUFFIX)


def shortened(title: str, suffix: str = "") -> str:
    """Return the name with its suffix, in at most `LIMIT` units; no character is cut in two."""
    if _units(title + suffix) <= LIMIT:
        return title + suffix
    left = LIMIT - _units(_ELLIPSIS + suffix)
    kept = ""
    for character in _characters(title):
        if _units(kept + character) > left:
            break
        kept += character
    return kept.rstrip() + _ELLIPSIS + suffix


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _characters(text: str) -> Iterator[str]:
    """Yield what a reader takes for one character, nearly as Unicode's annex 29 has it."""
    character = ""
    for one in text:
        if character and not _continues(character, one):
            yield character
            character = ""
        character += one
    if character:
        yield character


def _continues(character: str, one: str) -> bool:
    if unicodedata.category(one) in _CONTINUING or character.endswith(_JOINER):
        return True
    is_skin_tone = "\U0001f3fb" <= one <= "\U0001f3ff"
    return is_skin_tone or (_is_flag_half(one) and len(character) == 1 and _is_flag_half(character))


def _is_flag_half(one: str) -> bool:
    return "\U0001f1e6" <= one <= "\U0001f1ff"

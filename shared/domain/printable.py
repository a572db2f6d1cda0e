"""Makes text from others safe to display, in a terminal and on a page."""

import unicodedata

#: Control, format and surrogate characters, and the line separators of Unicode.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
#: Newlines and tabs are layout; joiners hold emoji and the letters of some scripts together.
_SAFE = frozenset("\n\t\u200c\u200d")
_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Return the text with a `�` for each character that could change how its surroundings look.

    An escape sequence rewrites what a terminal shows, a bidirectional control reverses the text
    that follows it, and half a surrogate pair cannot be encoded.
    """
    if text.isprintable():
        return text
    unsafe = [ord(one) for one in set(text) if _is_unsafe(one)]
    return text.translate(dict.fromkeys(unsafe, _INSTEAD)) if unsafe else text


def _is_unsafe(character: str) -> bool:
    return character not in _SAFE and unicodedata.category(character) in _UNSAFE_CATEGORIES

"""Make untrusted text safe to show in a terminal, on a page and in a spreadsheet."""

import unicodedata

#: Control, format and surrogate characters, and the line separators of Unicode.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
#: Newlines and tabs are layout; joiners are needed in emoji and some scripts.
_SAFE = frozenset("\n\t\u200c\u200d")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def make_printable(text: str) -> str:
    """Return the text with `�` in place of each character that could change how other text is
    shown.

    An escape sequence rewrites what a terminal shows, a bidirectional control reverses the text
    after it, and an unpaired surrogate cannot be encoded.
    """
    if text.isprintable():
        return text
    unsafe = [ord(one) for one in set(text) if _is_unsafe(one)]
    return text.translate(dict.fromkeys(unsafe, _REPLACEMENT)) if unsafe else text


def _is_unsafe(character: str) -> bool:
    return character not in _SAFE and unicodedata.category(character) in _UNSAFE_CATEGORIES


#: Spreadsheets take text that starts like this as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def format_spreadsheet_cell(text: str) -> str:
    """Return a text for a CSV file, with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Text that a spreadsheet takes for text."""

#: It takes what begins like this for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def spreadsheet_cell(text: str) -> str:
    """Return a text for a CSV file; an apostrophe stands before what would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text

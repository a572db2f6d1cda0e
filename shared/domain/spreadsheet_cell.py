"""Escape text so that spreadsheets do not run it as a formula."""

#: Spreadsheets take text that starts like this as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def format_spreadsheet_cell(text: str) -> str:
    """Return a text for a CSV file, with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Build a CSV file for download."""

import csv
import io
from collections.abc import Iterable

from shared.domain.printable import format_spreadsheet_cell
from shared.domain.trigger_urls.trigger_url import redact

CSV = "text/csv"


def build_csv(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as a CSV file (RFC 4180, UTF-8 with a byte order mark). Cells are escaped so that
    spreadsheets read none as a formula, and trigger URLs are redacted.
    """
    text = io.StringIO()
    lines = csv.writer(text)
    for row in rows:
        cells = ("" if cell is None else str(cell) for cell in row)
        lines.writerow(format_spreadsheet_cell(redact(cell)) for cell in cells)
    return text.getvalue().encode("utf-8-sig", "replace")

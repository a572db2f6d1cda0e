"""Report or correct the damaged rows of every table once a day.

Many rows are read only when they are needed, so damage would be found too late.
"""

from contextlib import suppress
from typing import Any

from shared.alerts import alert_unreadable_row, catch_row_errors
from shared.errors import NotFound, UnreadableRow
from shared.logs.fields import get_product_log
from shared.ports import DeleteRow, ReplaceRow, StoreRow
from shared.services import Services
from shared.state.rows import FENCE, Table

log = get_product_log(__name__)


async def correct_damaged_rows(services: Services) -> None:
    """Report unreadable rows, and correct search columns that do not match their row."""
    for table in services.tables:
        async for row in services.tables.store.query(table.name):
            if row.key != FENCE:
                async with catch_row_errors(services, (row.table, row.partition, row.key)):
                    await _report_or_correct_row(services, table, row)


async def _report_or_correct_row(services: Services, table: Table[Any], row: StoreRow) -> None:
    """Correct the search columns of one row.

    If the row is unreadable, raises `UnreadableRow`, or deletes the row if its table is rebuilt.
    """
    store = services.tables.store
    try:
        corrected = table.build_corrected_row(row)
    except UnreadableRow as err:
        if not table.is_rebuilt:
            raise
        await alert_unreadable_row(services, err)
        with suppress(NotFound):
            await store.write(DeleteRow(row))
        return
    if corrected:
        log.warning("search columns corrected: %s/%s/%s", row.table, row.partition, row.key)
        await store.write(ReplaceRow(corrected))

"""Send alerts about rows that need an action, one for each row and reason.

A timer processes many rows. A row that is unreadable or meets a bug gets an alert with its key, and
the timer continues with the next row.
"""

import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from shared.domain.alert import Alert, RowName
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    AlreadyExists,
    CmkflowError,
    Conflict,
    NotFound,
    TransientError,
    UnreadableRow,
)
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem

#: How long a temporary reason is shown; if it persists, it is reported again.
_REPEATED = timedelta(days=1)
_NOT_ITS_OWN = {
    Reason.UNREADABLE_ROW,
    Reason.REQUEST_BUDGET_RESET,
    Reason.ROW_SKIPPED,
    Reason.SERVICE_OUTAGE,
    Reason.ENVIRONMENT_DISABLED,
    Reason.THROTTLED,
    Reason.STALE_WRITE,
    Reason.ORPHANED_COPY,
    Reason.GRANT_NOT_REVOKED,
    Reason.ADDRESS_RANGES_OUTDATED,
    Reason.SERVICE_ACCOUNT_SIGNED_OUT,
    Reason.RETIRED_ORIGINAL_ON,
}
_SOURCE = Path(__file__).parent


async def send_alert(
    services: Services, code: str, row: RowName, cause: str, fix: str = ""
) -> None:
    """Send an alert about a row, unless one was sent and its reason still exists."""
    notice = Alert(reason_code=code, row=row, message=cause, raised_at=services.now, fix=fix)
    notices = services.tables.alerts
    _, *address = notices.get_row_name(notice)
    if await notices.get(*address):
        return
    await services.alerts.send(notice)
    with suppress(AlreadyExists):
        await notices.insert(notice)


async def alert_unreadable_row(services: Services, row: UnreadableRow) -> None:
    """Send an alert that says how to fix an unreadable row."""
    await send_alert(services, Reason.UNREADABLE_ROW, row.row, str(row), row.fix)


async def delete_settled_alerts(services: Services) -> None:
    """Delete the alerts whose row is gone or no longer has their reason.

    An alert with a reason that rows do not store is deleted after a day.
    """
    notices = services.tables.alerts
    async for kept in read_readable(services, notices.scan("alert")):
        row = await services.tables.store.get(*kept.item.row)
        if kept.item.reason_code in _NOT_ITS_OWN:
            lasts = row is not None and services.now - kept.item.raised_at < _REPEATED
        else:
            lasts = row is not None and row.columns.get("reason_code") == kept.item.reason_code
        if not lasts:
            with suppress(Conflict, NotFound):
                await notices.delete(kept)


async def read_readable[T](
    services: Services, rows: AsyncIterator[StoredItem[T] | UnreadableRow]
) -> AsyncIterator[StoredItem[T]]:
    """Yield the readable rows of a scan, and send an alert about each unreadable one."""
    async for row in rows:
        if isinstance(row, UnreadableRow):
            await alert_unreadable_row(services, row)
        else:
            yield row


@asynccontextmanager
async def catch_row_errors(services: Services, row: RowName) -> AsyncGenerator[None]:
    """Catch the errors of one row and send an alert, so that a timer can continue.

    Raises `TransientError`, which affects all rows. Ignores `Conflict`, because another writer was
    faster.
    """
    try:
        yield
    except TransientError:
        raise
    except Conflict:
        pass  # another instance just processed it
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)
    except Exception as err:  # noqa: BLE001 -- one row must not stop the others
        await send_alert(services, Reason.ROW_SKIPPED, row, format_error_cause(err))


def format_error_cause(err: Exception) -> str:
    """Return the cause of an error without secrets. For a bug, that is its class and source
    location.
    """
    if isinstance(err, CmkflowError):
        return redact(str(err))
    frames = traceback.extract_tb(err.__traceback__)
    ours = [frame for frame in frames if _SOURCE in Path(frame.filename).parents]
    place = (ours or frames)[-1]
    return f"{type(err).__name__} at {Path(place.filename).name}:{place.lineno}"

"""Tell people of rows that do not go on by themselves, once each; and go on with the other rows.

A timer looks at many rows. One that cannot be read, or that meets a defect, is told of by its key,
and the next one has its turn.
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
from shared.rows import StoredItem
from shared.services import Services

#: What is not the row's own reason is shown for this long, and told again if it is still so.
_REPEATED = timedelta(days=1)
_NOT_ITS_OWN = {
    Reason.UNREADABLE_ROW,
    Reason.REQUEST_BUDGET_RESET,
    Reason.ROW_SKIPPED,
    Reason.SERVICE_OUTAGE,
    Reason.THROTTLED,
    Reason.STALE_WRITE,
    Reason.ORPHANED_COPY,
    Reason.GRANT_NOT_REVOKED,
    Reason.ADDRESS_RANGES_OUTDATED,
    Reason.SERVICE_ACCOUNT_SIGNED_OUT,
    Reason.RETIRED_ORIGINAL_ON,
}
_SOURCE = Path(__file__).parent


async def tell(
    services: Services, code: str, row: RowName, cause: str, instruction: str = ""
) -> None:
    """Tell that a row needs a person, unless that was told and is not settled."""
    notice = Alert(
        code=code, row=row, message=cause, raised_at=services.now, instruction=instruction
    )
    notices = services.tables.alerts
    _, *address = notices.name_of(notice)
    if await notices.get(*address):
        return
    await services.alerts.send(notice)
    with suppress(AlreadyExists):
        await notices.insert(notice)


async def tell_unreadable(services: Services, row: UnreadableRow) -> None:
    """Tell of a row that cannot be read, and what to do with it."""
    await tell(services, Reason.UNREADABLE_ROW, row.row, str(row), row.instruction)


async def forget_settled(services: Services) -> None:
    """Forget notices whose row is gone, or is no longer what was told of it."""
    notices = services.tables.alerts
    async for kept in readable(services, notices.scan("alert")):
        row = await services.tables.store.get(*kept.item.row)
        if kept.item.code in _NOT_ITS_OWN:
            lasts = row is not None and services.now - kept.item.raised_at < _REPEATED
        else:
            lasts = row is not None and row.columns.get("reason_code") == kept.item.code
        if not lasts:
            with suppress(Conflict, NotFound):
                await notices.delete(kept)


async def readable[T](
    services: Services, rows: AsyncIterator[StoredItem[T] | UnreadableRow]
) -> AsyncIterator[StoredItem[T]]:
    """Yield the rows of a scan that can be read; the others are told of."""
    async for row in rows:
        if isinstance(row, UnreadableRow):
            await tell_unreadable(services, row)
        else:
            yield row


@asynccontextmanager
async def one_row(services: Services, row: RowName) -> AsyncGenerator[None]:
    """Let a timer go on with the next row, whatever this one meets.

    `TransientError` comes out: store or broker are out, for all rows. A lost race is no failure.
    """
    try:
        yield
    except TransientError:
        raise
    except Conflict:
        pass  # somebody else has just worked on it
    except UnreadableRow as err:
        await tell_unreadable(services, err)
    except Exception as err:  # noqa: BLE001 -- the edge of a row: told, and the rest goes on
        await tell(services, Reason.ROW_SKIPPED, row, cause_of(err))


def cause_of(err: Exception) -> str:
    """Return what went wrong, without secrets: of a defect its class and place in our source."""
    if isinstance(err, CmkflowError):
        return redact(str(err))
    frames = traceback.extract_tb(err.__traceback__)
    ours = [frame for frame in frames if _SOURCE in Path(frame.filename).parents]
    place = (ours or frames)[-1]
    return f"{type(err).__name__} at {Path(place.filename).name}:{place.lineno}"

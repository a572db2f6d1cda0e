"""Check that the target of an import is empty. Rows from the first start of an app do not count."""

from dataclasses import replace
from itertools import batched, groupby
from typing import TYPE_CHECKING

from shared.domain.shared_snapshot import MICROSOFT_KEY_LISTS, NETWORK_SNAPSHOTS
from shared.errors import InvalidInput
from shared.ports import DeleteRow, StoreRow

if TYPE_CHECKING:
    from cmkflow.state_transfer import ListedStore, StatePlace

#: What an app writes without a request of a person or an approval: polls, checks, and plans that it
#: starts automatically. It writes them again.
FIRST_START_TABLES = frozenset(
    {
        "alerts",
        "callerindex",
        "callersearches",
        "checkpositions",
        "circuitbreakers",
        "completedcallersearches",
        "discoverypages",
        "environmentjobs",
        "jobindex",
        "keyalerts",
        "knownurls",
        "notificationdeliveries",
        "planitems",
        "policylinks",
        "remediations",
        "requestbudgets",
        "resourceanswers",
        "serviceaccounts",
        "servicetaglistversions",
        "shapedemands",
        "sharedsnapshots",
        "timerruns",
        "wakeups",
    }
)
#: Folders of the archive with answers of services, which the app can read again.
_CACHED = (f"{NETWORK_SNAPSHOTS}/", f"{MICROSOFT_KEY_LISTS}/")
#: Rows of a transaction.
_REMOVED = 100


async def require_empty_place(place: "StatePlace", schema: str, *, is_used: bool) -> None:
    """Raise `InvalidInput` if a place has more than the first start of an app writes.

    `schema` is the table with the version of the store. `is_used` says whether an app has written
    to the place, for the text of the error.
    """
    for table in await place.store.list_tables():
        if table != schema and table not in FIRST_START_TABLES:
            async for _ in place.store.query(table, page_size=1):
                raise InvalidInput(_describe_used_table(table, is_used=is_used))
    if any(not name.startswith(_CACHED) for name in await place.archive.list_names()):
        raise InvalidInput("The archive is not empty. Import into another account.")


def _describe_used_table(table: str, *, is_used: bool) -> str:
    why = "an app has used it, or an import is complete" if is_used else "it is not empty"
    return (
        f"Nothing was imported into the store: {why} (table {table} has rows). Import into another "
        "account, or stop its app, delete its tables and import a minute later."
    )


async def delete_first_start_rows(store: "ListedStore") -> None:
    """Delete the rows that the first start of an app wrote, except the version of the store."""
    for table in sorted(FIRST_START_TABLES):
        rows = [row async for row in store.query(table)]
        for _, same in groupby(rows, key=lambda row: row.partition):
            for some in batched(map(_build_removal, same), _REMOVED, strict=False):
                await store.write(*some)


def _build_removal(row: StoreRow) -> DeleteRow:
    return DeleteRow(replace(row, columns={}, etag=None))

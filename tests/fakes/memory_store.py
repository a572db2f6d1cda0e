"""Fake of the port `Store`: tables in memory, with the limits of Azure Table storage."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from shared.adapters.state.table_limits import (
    require_valid_batch,
    require_valid_conditions,
    require_valid_entity_key,
)
from shared.errors import AlreadyExists, Conflict, NotFound
from shared.ports import (
    Condition,
    DeleteRow,
    InsertRow,
    Operation,
    ReplaceRow,
    Scalar,
    StoreRow,
    UpsertRow,
)

type Name = tuple[str, str, str]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "ne": ne,
    "lt": lt,
    "le": le,
    "gt": gt,
    "ge": ge,
}


class MemoryStore:
    def __init__(self) -> None:
        self.rows: dict[Name, StoreRow] = {}
        #: Called after every write.
        self.watchers: list[Callable[[], object]] = []
        self._version = 0

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        require_valid_entity_key(table, partition, key)
        return self.rows.get((table, partition, key))

    async def list_tables(self) -> list[str]:
        return sorted({table for table, _, _ in self.rows})

    async def write(self, *operations: Operation) -> list[StoreRow]:
        require_valid_batch(operations)
        for operation in operations:
            _require_allowed(operation, self.rows.get(_get_row_name(operation.row)))
        rows = [self._apply_operation(operation) for operation in operations]
        for watcher in self.watchers:
            watcher()
        return rows

    async def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
        after: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[StoreRow]:
        require_valid_entity_key(table, partition or "", before)
        require_valid_entity_key(table, partition or "", after)
        require_valid_conditions(where)
        names = [name for name in self.rows if name[0] == table and partition in (None, name[1])]
        names = [name for name in names if before is None or name[2] < before]
        for name in sorted(name for name in names if after is None or name[2] > after):
            row = self.rows.get(name)
            if row is not None and all(_is_condition_met(row, condition) for condition in where):
                yield row

    def _apply_operation(self, operation: Operation) -> StoreRow:
        row = operation.row
        if isinstance(operation, DeleteRow):
            del self.rows[_get_row_name(row)]
            return row
        self._version += 1
        stored = replace(row, columns=dict(row.columns), etag=f'W/"{self._version}"')
        self.rows[_get_row_name(row)] = stored
        return stored


def _get_row_name(row: StoreRow) -> Name:
    return row.table, row.partition, row.key


def _require_allowed(operation: Operation, stored: StoreRow | None) -> None:
    row = operation.row
    name = "/".join(_get_row_name(row))
    etag = stored.etag if stored else None
    match operation:
        case InsertRow() if stored:
            raise AlreadyExists(f"the row {name} exists")
        case ReplaceRow() if etag != row.etag:
            raise Conflict(f"the row {name} was changed since it was read")
        case DeleteRow() if not stored:
            raise NotFound(f"the row {name} does not exist")
        case DeleteRow() if row.etag not in (None, etag):
            raise Conflict(f"the row {name} was changed since it was read")
        case InsertRow() | ReplaceRow() | UpsertRow() | DeleteRow():
            pass


def _is_condition_met(row: StoreRow, condition: Condition) -> bool:
    """Return whether a row meets a condition.

    Values of different types never do, nor does a missing column.
    """
    value = row.columns.get(condition.column)
    if value is None or _get_kind(value) != _get_kind(condition.value):
        return False
    return _COMPARISONS[condition.op](value, condition.value)


def _get_kind(value: Scalar) -> str:
    """Return the kind of a value.

    Only values of the same kind are compared, and a boolean is not a number.
    """
    match value:
        case bool():
            return "truth"
        case str():
            return "text"
        case _:
            return "number"

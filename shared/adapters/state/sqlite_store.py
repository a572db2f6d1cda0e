"""Store state in a SQLite file, the default without a storage account.

Several processes on a machine can use the file at once. WAL mode allows reads during a write,
`BEGIN IMMEDIATE` makes a check and its write atomic, and `synchronous=FULL` keeps a write through a
power failure. A write waits for the disk, so it runs in a thread; concurrent writes share a
transaction. A read is faster than a switch to another thread, so it runs at once.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from shared.adapters.state.table_limits import (
    require_valid_batch,
    require_valid_conditions,
    require_valid_entity_key,
)
from shared.errors import AlreadyExists, CmkflowError, Conflict, NotFound, ServiceUnavailable
from shared.ports import (
    Condition,
    DeleteRow,
    InsertRow,
    Operation,
    ReplaceRow,
    Scalar,
    Store,
    StoreRow,
    UpsertRow,
)

_PAGE = 500  # rows a query reads in one go
_BUSY = 10.0  # seconds to wait for another process's write
#: Seconds for which the writes of several tasks gather: a wait for the disk costs as much processor
#: time as ten writes.
_GATHERING = 0.005
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entity (
    tbl TEXT NOT NULL, partition TEXT NOT NULL, key TEXT NOT NULL,
    etag TEXT NOT NULL, columns TEXT NOT NULL,
    PRIMARY KEY (tbl, partition, key)
) WITHOUT ROWID
"""
_SELECT = "SELECT tbl, partition, key, etag, columns FROM entity WHERE "
_THIS = "(tbl, partition, key) = (?, ?, ?)"
_ORDER = " ORDER BY partition, key LIMIT "
_SQL = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


type _Outcome = list[StoreRow] | CmkflowError


@dataclass(slots=True, eq=False)
class _Write:
    """Operations that a caller waits for, and their outcome."""

    operations: Sequence[Operation]
    done: asyncio.Future[_Outcome]


class SqliteStore(Store):
    """Implements the port `Store` with a SQLite file."""

    def __init__(self, file: Path) -> None:
        """Open `file`; create it and its folder if missing."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database, self._reader = _open_connection(file, _BUSY), _open_connection(file, 0)
        self._lock = threading.Lock()
        self._waiting: list[_Write] = []
        #: Commits the waiting writes; it ends when none is left.
        self._writer: asyncio.Task[None] | None = None
        with _translate_errors():
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(_SCHEMA)

    async def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._reader.close()
            self._database.close()

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        require_valid_entity_key(table, partition, key)
        rows = await self._select_rows(_SELECT + _THIS, [table, partition, key])
        return rows[0] if rows else None

    async def list_tables(self) -> list[str]:
        """Return the names of the tables, sorted."""
        with self._lock, _translate_errors():
            found = self._database.execute("SELECT DISTINCT tbl FROM entity ORDER BY tbl")
            return [name for (name,) in found]

    async def write(self, *operations: Operation) -> list[StoreRow]:
        require_valid_batch(operations)
        loop = asyncio.get_running_loop()
        mine = _Write(operations, loop.create_future())
        self._waiting.append(mine)
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._commit_waiting_writes())
        outcome = await mine.done
        if isinstance(outcome, CmkflowError):
            raise outcome
        return outcome

    async def _commit_waiting_writes(self) -> None:
        """Commit waiting writes until none is left.

        After a commit that several tasks shared, waits a moment so that more writes gather.
        """
        while self._waiting:
            writes, self._waiting = self._waiting, []
            try:
                outcomes = await asyncio.to_thread(self._run_writes, writes)
            except BaseException as err:
                waiting, self._waiting = self._waiting, []  # no writer is left to commit them
                for write in (*writes, *waiting):
                    _set_outcome(write.done, err)
                raise
            for write, outcome in zip(writes, outcomes, strict=True):
                _set_outcome(write.done, outcome)
            if len(writes) > 1 or self._waiting:
                await asyncio.sleep(_GATHERING)

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
        sql, values = _build_select(table, partition, where, (before, after))
        last: tuple[str, ...] = ()
        size = min(page_size or _PAGE, _PAGE)
        while True:
            page = f"{sql}{' AND (partition, key) > (?, ?)' if last else ''}{_ORDER}{size}"
            rows = await self._select_rows(page, [*values, *last])
            for row in rows:
                yield row
            if len(rows) < size:
                return
            last = (rows[-1].partition, rows[-1].key)

    async def _select_rows(self, sql: str, values: Sequence[Scalar]) -> list[StoreRow]:
        try:
            return _execute_select(self._reader, sql, values)
        except sqlite3.OperationalError:  # another process recovers the file: wait in a thread
            return await asyncio.to_thread(self._select_in_thread, sql, values)

    def _select_in_thread(self, sql: str, values: Sequence[Scalar]) -> list[StoreRow]:
        with self._lock, _translate_errors():
            return _execute_select(self._database, sql, values)

    def _run_writes(self, writes: Sequence[_Write]) -> list[_Outcome]:
        """Run all writes in one transaction, each completely or not at all."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                outcomes = [self._run_operations(write.operations) for write in writes]
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as err:
                return [_build_unavailable_error(err)] * len(writes)
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            return outcomes

    def _run_operations(self, operations: Sequence[Operation]) -> _Outcome:
        self._database.execute("SAVEPOINT one")
        try:
            rows = [self._run_operation(operation) for operation in operations]
        except CmkflowError as err:
            self._database.execute("ROLLBACK TO one")
            return err
        finally:
            self._database.execute("RELEASE one")
        return rows

    def _run_operation(self, operation: Operation) -> StoreRow:
        row = operation.row
        where = (row.table, row.partition, row.key)
        found = self._database.execute(
            f"SELECT etag FROM entity WHERE {_THIS}",  # noqa: S608  # fixed text
            where,
        ).fetchone()
        _require_etag(operation, found[0] if found else None)
        if isinstance(operation, DeleteRow):
            self._database.execute(f"DELETE FROM entity WHERE {_THIS}", where)  # noqa: S608
            return row
        stored = replace(row, etag=uuid4().hex)
        columns = json.dumps(dict(row.columns), allow_nan=False, separators=(",", ":"))
        self._database.execute(
            "INSERT OR REPLACE INTO entity VALUES (?, ?, ?, ?, ?)", (*where, stored.etag, columns)
        )
        return stored


def _set_outcome(done: asyncio.Future[_Outcome], outcome: _Outcome | BaseException) -> None:
    """Set the outcome of a write for its caller, unless the caller was cancelled."""
    if done.done():
        return
    match outcome:
        case CmkflowError() | list():
            done.set_result(outcome)
        case asyncio.CancelledError():
            done.cancel()
        case _:
            done.set_exception(outcome)


def _open_connection(file: Path, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=timeout, isolation_level=None, check_same_thread=False)


def _execute_select(
    database: sqlite3.Connection, sql: str, values: Sequence[Scalar]
) -> list[StoreRow]:
    return [
        StoreRow(table=table, partition=partition, key=key, etag=etag, columns=json.loads(columns))
        for table, partition, key, etag, columns in database.execute(sql, values)
    ]


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as err:
        raise _build_unavailable_error(err) from err


def _build_unavailable_error(err: sqlite3.OperationalError) -> ServiceUnavailable:
    return ServiceUnavailable(f"Cannot access the state database: {err}")


def _require_etag(operation: Operation, stored: str | None) -> None:
    """Raise the port's errors if the stored ETag (None: no row) does not allow the operation."""
    row = operation.row
    name = f"{row.table} {row.partition} {row.key}"
    match operation:
        case InsertRow() if stored is not None:
            raise AlreadyExists(f"row {name} exists")
        case ReplaceRow() if stored != row.etag:
            raise Conflict(f"row {name} was changed since it was read")
        case DeleteRow() if stored is None:
            raise NotFound(f"row {name} does not exist")
        case DeleteRow() if row.etag not in (None, stored):
            raise Conflict(f"row {name} was changed since it was read")
        case InsertRow() | ReplaceRow() | UpsertRow() | DeleteRow():
            pass


def _build_select(
    table: str,
    partition: str | None,
    where: Sequence[Condition],
    keys: tuple[str | None, str | None],
) -> tuple[str, list[Scalar]]:
    """Return the SELECT and its values.

    `keys` are the keys before and after which rows are read. A row without the column of a
    condition does not match.
    """
    parts = ["tbl = ?"]
    values: list[Scalar] = [table]
    if partition is not None:
        parts.append("partition = ?")
        values.append(partition)
    for comparison, key in zip("<>", keys, strict=True):
        if key is not None:
            parts.append(f"key {comparison} ?")
            values.append(key)
    for condition in where:
        path = f"'$.{condition.column}'"  # the name was checked
        parts.append(f"json_type(columns, {path}) IN ({_list_comparable_types(condition.value)})")
        parts.append(f"json_extract(columns, {path}) {_SQL[condition.op]} ?")
        values.append(condition.value)
    # Values are bound; the statement contains only checked names and fixed text.
    return _SELECT + " AND ".join(parts), values


def _list_comparable_types(value: Scalar) -> str:
    match value:
        case bool():
            return "'true','false'"
        case str():
            return "'text'"
        case _:
            return "'integer','real'"

"""Export the tables and the archive of an app to a file, and import them into an empty place.

Rows are copied unchanged, so that those of a newer release are complete. An import writes the
version of the store last, because the app rejects a store without it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Protocol

from cmkflow.empty_place import delete_first_start_rows, require_empty_place
from cmkflow.state_file import Record, StateFile
from shared.adapters.state.versioned_store import IMPORT, SCHEMA, VERSION
from shared.concurrency import do_each, read_each
from shared.errors import InvalidInput
from shared.ports import Archive, DeleteRow, InsertRow, Operation, Store, StoreRow, UpsertRow
from shared.state.rows import split_into_batches

#: Rows of a record, and records of an import that are stored at a time.
_ROWS, _RECORDS = 200, 16
_ANOTHER_FILE = " Stop the app, and export to another file."


class ListedStore(Store, Protocol):
    """A store that can also list its tables."""

    async def list_tables(self) -> list[str]:
        """Return the names of the tables."""


@dataclass(frozen=True, slots=True)
class StatePlace:
    """Where an app keeps its state: its tables and its archive."""

    store: ListedStore
    archive: Archive


@dataclass(slots=True)
class Contents:
    """How many rows and files an export has, with a digest of each table."""

    rows: Counter[str] = field(default_factory=Counter)
    #: By table, the sum of the hashes of its rows, in which their order is irrelevant.
    digests: dict[str, int] = field(default_factory=dict)
    files: int = 0

    def count_and_digest_rows(self, table: str, rows: Iterable[StoreRow]) -> None:
        for row in rows:
            self.rows[table] += 1
            text = json.dumps([row.partition, row.key, dict(row.columns)], sort_keys=True)
            digest = int.from_bytes(hashlib.sha256(text.encode()).digest())
            self.digests[table] = (self.digests.get(table, 0) + digest) % 2**256


async def export_state(place: StatePlace, file: StateFile) -> Contents:
    """Write all rows and archived files to the file, or continue an interrupted export. Raises
    `InvalidInput` if the place has no state or one of an earlier version, or if the state has
    changed since the export began.
    """
    if await place.store.get(*VERSION) is None:
        raise InvalidInput("There is no state of the app, or it is of an earlier version.")
    found, position, names = Contents(), ("", "", ""), set[str]()
    for record in file.read_records():
        match record.head:
            case {"table": str(table)}:
                rows = parse_rows(record)
                found.count_and_digest_rows(table, rows)
                position = (table, rows[-1].partition, rows[-1].key)
            case {"file": str(name)}:
                names.add(name)
            case {"contents": _}:
                exported = parse_contents(record)
                await _require_same_contents(place, exported, _ANOTHER_FILE)
                return exported
    async for rows in _read_rows_after(place.store, position):
        table = rows[0].table
        found.count_and_digest_rows(table, rows)
        body = json.dumps([[row.partition, row.key, dict(row.columns)] for row in rows])
        file.append_record(Record({"table": table}, body.encode()))
    all_names = await place.archive.list_names()
    missing = [name for name in all_names if name not in names]
    for some in batched(missing, _RECORDS, strict=False):
        contents = await read_each(some, place.archive.get)
        for name, content in zip(some, contents, strict=True):
            file.append_record(Record({"file": name}, content))
    found.files = len({*names, *all_names})
    await _require_same_contents(place, found, _ANOTHER_FILE)
    summary = {"rows": found.rows, "digests": found.digests, "files": found.files}
    file.append_record(Record({"contents": summary}))
    return found


async def _read_rows_after(
    store: ListedStore, position: tuple[str, str, str]
) -> AsyncIterator[list[StoreRow]]:
    for table in sorted(await store.list_tables()):
        rows: list[StoreRow] = []
        async for row in store.query(table):
            if (row.table, row.partition, row.key) > position:
                rows.append(row)
            if len(rows) == _ROWS:
                yield rows
                rows = []
        if rows:
            yield rows


async def import_state(place: StatePlace, file: StateFile) -> Contents:
    """Store all records of a file in an empty place, or continue such an import, and verify it.

    Deletes what a first start of the app has written to the place. Raises `InvalidInput` if the
    file is not complete, the place is not empty, or the stored rows differ from the file.
    """
    expected = _require_complete_file(file)
    done = await _begin_or_continue_import(place, file.id)
    schema: list[StoreRow] = []
    numbered = enumerate(file.read_records())
    for some in batched(numbered, _RECORDS, strict=False):
        records = [record for _, record in some]
        schema += [row for one in records for row in parse_rows(one) if row.table == SCHEMA]
        if some[-1][0] < done:
            continue
        await do_each(records, lambda record: _store_record(place, record))
        mark = {"export_id": file.id, "records": some[-1][0] + 1}
        await place.store.write(UpsertRow(_build_import_mark(mark)))
    await _require_same_contents(place, expected)
    operations: list[Operation] = [DeleteRow(_build_import_mark({})), *map(UpsertRow, schema)]
    await place.store.write(*operations)
    return expected


def _require_complete_file(file: StateFile) -> Contents:
    for record in file.read_records():
        if "contents" in record.head:
            return parse_contents(record)
    raise InvalidInput(f"{file.path} is incomplete. Run the export again: it continues.")


async def _begin_or_continue_import(place: StatePlace, export_id: str) -> int:
    mark = await place.store.get(*IMPORT)
    if mark is None:
        version = await place.store.get(*VERSION)
        await require_empty_place(place, SCHEMA, is_used=version is not None)
        mark = _build_import_mark({"export_id": export_id, "records": 0})
        # In one transaction: an app that starts from now on rejects the store.
        removals = [DeleteRow(version)] if version else []
        await place.store.write(InsertRow(mark), *removals)
    if mark.columns["export_id"] != export_id:
        raise InvalidInput("The store contains an incomplete import of another file.")
    done = int(mark.columns["records"])
    if done == 0:
        await delete_first_start_rows(place.store)
    return done


async def _store_record(place: StatePlace, record: Record) -> None:
    match record.head:
        case {"file": str(name)}:
            await place.archive.put(name, record.body)
            if await place.archive.get(name) != record.body:
                raise InvalidInput(f"The archive already contains a different file named {name}.")
        case {"table": str(table)} if table != SCHEMA:
            partitions: dict[str, list[StoreRow]] = {}
            for row in parse_rows(record):
                partitions.setdefault(row.partition, []).append(row)
            batches = [one for rows in partitions.values() for one in split_into_batches(rows)]
            await do_each(batches, lambda rows: place.store.write(*map(UpsertRow, rows)))


async def _require_same_contents(place: StatePlace, expected: Contents, remedy: str = "") -> None:
    for table in sorted({*expected.digests, *await place.store.list_tables()} - {SCHEMA}):
        found = Contents()
        async for row in place.store.query(table):
            found.count_and_digest_rows(table, [row])
        if found.digests.get(table) != expected.digests.get(table):
            text = f"Table {table} differs from the file: something else wrote to it."
            raise InvalidInput(f"{text}{remedy}")


def parse_rows(record: Record) -> Sequence[StoreRow]:
    table = record.head.get("table")
    if table is None:
        return []
    return [
        StoreRow(table=table, partition=partition, key=key, columns=columns)
        for partition, key, columns in json.loads(record.body)
    ]


def parse_contents(record: Record) -> Contents:
    contents = record.head["contents"]
    return Contents(Counter(contents["rows"]), contents["digests"], contents["files"])


def _build_import_mark(columns: dict[str, Any]) -> StoreRow:
    table, partition, key = IMPORT
    return StoreRow(table=table, partition=partition, key=key, columns=columns)

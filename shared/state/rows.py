"""Store the app's objects as rows: a typed table for each type, through the port `Store`."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import batched, groupby
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from shared.concurrency import do_each
from shared.domain.alert import RowName
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.errors import AlreadyExists, Conflict, NotFound, UnreadableRow
from shared.ports import (
    Condition,
    DeleteRow,
    InsertRow,
    ReplaceRow,
    Scalar,
    Store,
    StoreRow,
    UpsertRow,
)
from shared.state.flat_rows import STORED_NAMES, FlatAdapter
from shared.state.unknown_fields import UnknownFields

#: Characters of JSON per property: Tables allow 64 KiB of UTF-16, and a character can take 4 bytes.
CHUNK = 16_000
#: Rows, and characters of JSON, per batch: Tables allow 4 MiB of UTF-8 in total.
BATCH_ROWS = 20
BATCH_CHARACTERS = 1_000_000
#: Rows deleted per batch: the maximum of Tables.
_REMOVED = 100
#: Cached items per table, because many jobs read the same rows repeatedly.
_REMEMBERED = 32
#: Rows per table whose unknown fields are kept for an upsert.
_WITH_UNKNOWN_FIELDS = 2_000
#: Key of a row without item, which has the permitted writer of its partition (jobs/fenced_rows.py).
FENCE = "~fence"


@dataclass(frozen=True, slots=True)
class StoredItem[T]:
    """An item, and the ETag of the row that stores it."""

    item: T
    etag: str
    #: What a newer release stored beside the item; `Table.replace` keeps it.
    unknown: UnknownFields | None = field(default=None, compare=False, repr=False)


async def _ignore_write(_before: object, _after: object) -> None: ...


async def _ignore_changes(_changes: object) -> None: ...


class Table[T]:
    """The rows of a table as items of one type."""

    def __init__(
        self,
        store: Store,
        name: str,
        kind: type[T],
        *,
        address: Callable[[T], tuple[str, str]],
        columns: Callable[[T], dict[str, Scalar]] = lambda _: {},
        remedy: str = "",
        is_rebuilt: bool = False,
        indexed: Callable[[Sequence[tuple[T | None, T]]], Awaitable[None]] = _ignore_changes,
    ) -> None:
        """Describe how items of type `kind` are stored in `store`.

        `address` returns an item's partition and key, and `columns` its searchable columns.
        `remedy` is the fix for an unreadable row. With `is_rebuilt`, unreadable rows count as
        missing, because the app writes them again. `indexed` is awaited before items are stored,
        with pairs of the stored item (None: not known) and the new one, all of one partition.
        """
        self.name = name
        self.is_rebuilt = is_rebuilt
        self._remedy = remedy
        self.store = store
        self._adapter: TypeAdapter[T] | FlatAdapter[T] = get_row_adapter(cast("Any", kind))
        #: Of rows by partition and key, as last read: an upsert does not read them again.
        self._unknown: dict[tuple[str, str], UnknownFields] = {}
        self._address = address
        self._columns = columns
        self._indexed = indexed

    @functools.cached_property
    def _parser(self) -> Callable[[str], tuple[T, UnknownFields | None]]:
        """Return the function that parses items. Equal texts share one item, because items are
        immutable.
        """
        return functools.lru_cache(_REMEMBERED)(self._validate_json)

    def get_address(self, item: T) -> tuple[str, str]:
        """Return the partition and the key of an item."""
        return self._address(item)

    async def get(self, partition: str, key: str) -> StoredItem[T] | None:
        """Return the item, or None if there is none.

        Raises `UnreadableRow` if its row is unreadable, unless `is_rebuilt`.
        """
        row = await self.store.get(self.name, partition, key)
        return next(self.parse_readable([row]), None) if row else None

    async def insert(self, item: T, *, is_indexed: bool = False) -> StoredItem[T]:
        """Store a new item.

        Raises `AlreadyExists` if the item exists. `is_indexed`: the index already contains the
        item.
        """
        if not is_indexed:
            await self._indexed([(None, item)])
        try:
            return await self._write_row(InsertRow(self.build_row(item)), item)
        except AlreadyExists:
            row = await self.store.get(self.name, *self._address(item))
            if row is None or any(self.parse_readable([row])):
                raise
        try:
            return await self._write_row(ReplaceRow(self.build_row(item, row.etag)), item)
        except Conflict as err:
            raise AlreadyExists(str(err)) from err

    async def replace(self, kept: StoredItem[T], item: T) -> StoredItem[T]:
        """Store `item` in place of `kept`. Raises `Conflict` if the row has changed."""
        await self._indexed([(kept.item, item)])
        return await self._write_row(
            ReplaceRow(self._build_replacement(kept, item)), item, kept.unknown
        )

    async def replace_many(
        self, changes: Iterable[tuple[StoredItem[T], T]]
    ) -> AsyncIterator[tuple[Sequence[T], bool]]:
        """Store items in place of others, several in each transaction.

        Yield the new items of each transaction, and whether they were stored. If one item has
        changed since it was read, no item of its transaction is stored.
        """
        partitions: dict[str, list[tuple[StoredItem[T], T]]] = {}
        for kept, item in changes:
            partitions.setdefault(self._address(item)[0], []).append((kept, item))
        for ours in partitions.values():
            rest = iter(ours)
            for rows in split_into_batches([self._build_replacement(*one) for one in ours]):
                some = [next(rest) for _ in rows]
                await self._indexed([(kept.item, item) for kept, item in some])
                is_stored = False
                with suppress(Conflict):
                    await self.store.write(*map(ReplaceRow, rows))
                    is_stored = True
                yield [item for _, item in some], is_stored

    async def change(
        self,
        partition: str,
        key: str,
        change: Callable[[T | None], T | None],
        *,
        first: Callable[[T | None, T], Awaitable[None]] = _ignore_write,
    ) -> StoredItem[T] | None:
        """Store what `change` returns for the stored item (None: there is none), unless it returns
        None.

        Calls `change` again with the current item if another writer was faster. Calls `first` with
        the stored and the new item before each write.
        """
        while True:
            kept = await self.get(partition, key)
            item = change(kept.item if kept else None)
            if item is None:
                return None
            await first(kept.item if kept else None, item)
            with suppress(Conflict):
                return await (self.replace(kept, item) if kept else self.insert(item))

    async def upsert(self, *items: T) -> None:
        """Store items in place of any that exist, one batch at a time per partition."""
        if self._indexed is not _ignore_changes:
            for item in items:
                await self._indexed([(None, item)])
        by_partition = groupby(
            self.split_into_batches(*items), key=lambda batch: batch[0].row.partition
        )
        await do_each([list(batches) for _, batches in by_partition], self._write_batches)

    async def _write_batches(self, batches: Iterable[Sequence[UpsertRow]]) -> None:
        for batch in batches:
            await self.store.write(*batch)

    def split_into_batches(self, *items: T) -> Iterator[list[UpsertRow]]:
        """Yield the operations that store items, in batches of one partition."""
        partitions: dict[str, list[StoreRow]] = {}
        for item in items:
            row = self.build_row(item, None, self._unknown.get(self._address(item)))
            partitions.setdefault(row.partition, []).append(row)
        for rows in partitions.values():
            for batch in split_into_batches(rows):
                yield [UpsertRow(row) for row in batch]

    def build_removal(self, item: T) -> DeleteRow:
        """Return the operation that deletes an item, whatever its ETag."""
        return DeleteRow(self.build_row(item))

    async def delete(self, kept: StoredItem[T]) -> None:
        """Delete the item.

        Raises `Conflict` if it has changed, and `NotFound` if it does not exist.
        """
        await self.store.write(DeleteRow(self.build_row(kept.item, kept.etag)))

    async def clear(self, partition: str | None = None, *, where: Sequence[Condition] = ()) -> None:
        """Delete the items that a query finds, the last one first.

        Items that no longer exist are skipped. An interruption leaves the first items, without
        holes.
        """
        for some in batched(
            await self.read_removals(partition, where=where), _REMOVED, strict=False
        ):
            for _, same in groupby(some, key=lambda one: one.row.partition):
                await self._delete_rows(list(same))

    async def _delete_rows(self, removals: Sequence[DeleteRow]) -> None:
        try:
            await self.store.write(*removals)
        except NotFound:  # one of them is missing: nothing was deleted
            for removal in removals:
                with suppress(NotFound):
                    await self.store.write(removal)

    async def delete_partition(self, partition: str) -> None:
        """Delete all rows of a partition, including its fence. Must be called only when no writer
        is left.
        """
        await self.clear(partition)
        fence = await self.store.get(self.name, partition, FENCE)
        if fence:
            with suppress(NotFound):
                await self.store.write(DeleteRow(replace(fence, etag=None)))

    async def read_removals(
        self, partition: str | None = None, *, where: Sequence[Condition] = ()
    ) -> list[DeleteRow]:
        """Return the operations that delete the items that a query finds, the last item first."""
        rows = [row async for row in self.store.query(self.name, partition, where=where)]
        return [
            DeleteRow(replace(row, columns={}, etag=None))
            for row in reversed(rows)
            if row.key != FENCE
        ]

    async def query(
        self, partition: str | None = None, *, where: Sequence[Condition] = ()
    ) -> AsyncIterator[StoredItem[T]]:
        """Yield items in the order of partition and key.

        Raises `UnreadableRow` if a row is unreadable, unless `is_rebuilt`.
        """
        async for found in self.scan(partition, where=where):
            if not isinstance(found, UnreadableRow):
                yield found
            elif not self.is_rebuilt:
                raise found

    async def scan(
        self,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
    ) -> AsyncIterator[StoredItem[T] | UnreadableRow]:
        """Yield items as `query` does, with an error in place of each unreadable row.

        `before`: only rows of the partition with a smaller key.
        """
        async for row in self.store.query(self.name, partition, where=where, before=before):
            if row.key == FENCE:
                continue
            try:
                yield self.parse_row(row)
            except UnreadableRow as err:
                yield err

    async def read_all(
        self, partition: str | None = None, *, where: Sequence[Condition] = ()
    ) -> list[T]:
        """Return the items that a query finds.

        Raises `UnreadableRow` if a row is unreadable, unless `is_rebuilt`.
        """
        return [kept.item async for kept in self.query(partition, where=where)]

    def get_row_name(self, item: T) -> RowName:
        """Return the item's table, partition and key."""
        return (self.name, *self._address(item))

    async def _write_row(
        self, operation: InsertRow | ReplaceRow, item: T, unknown: UnknownFields | None = None
    ) -> StoredItem[T]:
        (row,) = await self.store.write(operation)
        return StoredItem(item, row.etag or "", unknown)

    def _build_replacement(self, kept: StoredItem[T], item: T) -> StoreRow:
        return self.build_row(item, kept.etag, kept.unknown)

    def build_row(
        self, item: T, etag: str | None = None, unknown: UnknownFields | None = None
    ) -> StoreRow:
        """Return the row that stores an item, with this ETag and these unknown fields."""
        partition, key = self._address(item)
        text = self._adapter.dump_json(item).decode()
        if unknown:
            text = unknown.add_to_json(text)
        # Inputs are already redacted; this covers the rest, as for logs and responses.
        text = mask_signatures(text)
        chunks = {
            f"data{number}": text[start : start + CHUNK]
            for number, start in enumerate(range(0, len(text), CHUNK))
        }
        columns = {**self._columns(item), **chunks, "chunks": len(chunks)}
        return StoreRow(table=self.name, partition=partition, key=key, columns=columns, etag=etag)

    def parse_row(self, row: StoreRow) -> StoredItem[T]:
        """Return the item of a row. Raises `UnreadableRow` if the row is unreadable."""
        name = (row.table, row.partition, row.key)
        try:
            item, unknown = self._parser(get_stored_text(row))
        except (KeyError, ValueError, OverflowError) as err:
            reason = _describe_invalid_fields(err)
            raise UnreadableRow(name, message=reason, remedy=self._remedy) from None
        if self.get_row_name(item) != name:  # writing it back would overwrite another row
            raise UnreadableRow(name, message="it contains another row's key", remedy=self._remedy)
        self._unknown.pop(name[1:], None)
        if unknown:
            self._unknown[name[1:]] = unknown
            if len(self._unknown) > _WITH_UNKNOWN_FIELDS:
                del self._unknown[next(iter(self._unknown))]
        return StoredItem(item, row.etag or "", unknown)

    def _validate_json(self, text: str) -> tuple[T, UnknownFields | None]:
        with suppress(ValidationError):
            return self._adapter.validate_json(text, extra="forbid"), None
        item = self._adapter.validate_json(text)
        return item, UnknownFields(text, self._adapter.dump_json(item).decode())

    def parse_readable(self, rows: Iterable[StoreRow]) -> Iterator[StoredItem[T]]:
        """Yield the items of rows.

        Raises `UnreadableRow` if a row is unreadable, unless `is_rebuilt`.
        """
        for row in rows:
            try:
                yield self.parse_row(row)
            except UnreadableRow:
                if not self.is_rebuilt:
                    raise

    def build_corrected_row(self, row: StoreRow) -> StoreRow | None:
        """Return the row with corrected searchable columns, or None if they are correct.

        Raises `UnreadableRow` if the row is unreadable.
        """
        columns = {**row.columns, **self._columns(self.parse_row(row).item)}
        return replace(row, columns=columns) if columns != row.columns else None


def get_stored_text(row: StoreRow) -> str:
    """Return the JSON of a row. Raises `KeyError` or `ValueError` if the row is incomplete."""
    chunks = int(row.columns["chunks"])
    return "".join(str(row.columns[f"data{number}"]) for number in range(chunks))


_FAULTS = {
    "missing": "is missing",
    "enum": "has an unknown value",
    "literal_error": "has an unknown value",
}


def _describe_invalid_fields(err: KeyError | ValueError | OverflowError) -> str:
    """Return a text that names the invalid fields, without their values."""
    if not isinstance(err, ValidationError):
        return "it is incomplete"
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the row'}: "
        + _FAULTS.get(one["type"], "is not valid")
        for one in err.errors(include_input=False, include_url=False, include_context=False)
    )


def split_into_batches(rows: Sequence[StoreRow]) -> Iterator[list[StoreRow]]:
    """Split rows into batches within the limits of Tables."""
    batch: list[StoreRow] = []
    room = BATCH_CHARACTERS
    for row in rows:
        size = sum(len(str(value)) for value in row.columns.values())
        if batch and (len(batch) == BATCH_ROWS or size > room):
            yield batch
            batch, room = [], BATCH_CHARACTERS
        batch.append(row)
        room -= size
    if batch:
        yield batch


@functools.cache
def get_row_adapter[T](kind: type[T]) -> TypeAdapter[T] | FlatAdapter[T]:
    """Return the adapter that converts items of a table to JSON and back."""
    names = STORED_NAMES.get(kind)
    return FlatAdapter(kind, names) if names else get_type_adapter(cast("Any", kind))


@functools.cache
def get_type_adapter[T](kind: type[T]) -> TypeAdapter[T]:
    """Return the type adapter of a type. It is cached, because building it takes milliseconds."""
    return TypeAdapter(kind)


def format_sortable_time(moment: datetime | None) -> str:
    """Return a time as text that sorts by time. None sorts last."""
    if moment is None:
        return "~"
    with suppress(OverflowError):  # at an end of the calendar, the time itself sorts well enough
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.identity import CredentialUnavailableError

from shared.adapters.state.sqlite_store import SqliteStore
from shared.adapters.state.store_clock import StoreClock
from shared.adapters.state.table_store import TableStore
from shared.errors import AlreadyExists, Conflict, NotFound, ServiceUnavailable
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
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

#: Tables of this process's own: several may run against one Azurite.
JOBS = f"Jobs{uuid4().hex}"
PLANS = f"Plans{uuid4().hex}"


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("tables", marks=pytest.mark.azurite)],
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    match request.param:
        case "memory":
            yield MemoryStore()
        case "sqlite":
            sqlite = SqliteStore(tmp_path / "state" / "state.db")
            yield sqlite
            await sqlite.close()
        case _:
            tables = TableServiceClient.from_connection_string(get_azurite_address())
            # The table of callers is that of every process, so one test at a time has it.
            with (Path(gettempdir()) / "azurite-tables.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for name in (JOBS, PLANS, "callers"):
                    await tables.delete_table(name)
                yield TableStore(tables)
            await tables.close()


def get_azurite_address() -> str:
    connection = os.environ.get("AZURITE_CONNECTION_STRING")
    if connection is None:
        pytest.skip("AZURITE_CONNECTION_STRING is not set")
    return connection


def build_row(key: str = "k", partition: str = "p", **columns: Scalar) -> StoreRow:
    return build_row_of(columns, key, partition)


def build_row_of(columns: Mapping[str, Scalar], key: str = "k", partition: str = "p") -> StoreRow:
    return StoreRow(table=JOBS, partition=partition, key=key, columns=columns)


async def list_keys(store: Store, *where: Condition, partition: str | None = None) -> list[str]:
    return [found.key async for found in store.query(JOBS, partition, where=where)]


async def test_stored_row_keeps_the_types_of_its_columns(store: Store) -> None:
    columns: dict[str, Scalar] = {
        "text": "ä\n\u2028",
        "number": 2**40,
        "small": 3,
        "part": 0.5,
        "yes": True,
    }

    [stored] = await store.write(InsertRow(build_row_of(columns)))

    found = await store.get(JOBS, "p", "k")
    assert found == stored
    assert found is not None
    assert dict(found.columns) == columns
    assert {name: type(value) for name, value in found.columns.items()} == {
        name: type(value) for name, value in columns.items()
    }


async def test_table_with_a_row_is_listed(store: Store) -> None:
    """A backup reads all tables of the store, including those of a newer release."""
    assert isinstance(store, MemoryStore | SqliteStore | TableStore)
    await store.write(InsertRow(build_row()))

    names = await store.list_tables()

    assert JOBS in names
    assert names == sorted(names)


async def test_missing_row_is_none(store: Store) -> None:
    assert await store.get(JOBS, "p", "k") is None


async def test_second_insert_raises_already_exists(store: Store) -> None:
    await store.write(InsertRow(build_row(n=1)))

    with pytest.raises(AlreadyExists):
        await store.write(InsertRow(build_row(n=2)))

    found = await store.get(JOBS, "p", "k")
    assert found is not None
    assert found.columns["n"] == 1


async def test_replace_with_an_old_etag_raises_conflict(store: Store) -> None:
    [first] = await store.write(InsertRow(build_row(n=1)))
    [second] = await store.write(ReplaceRow(replace(first, columns={"n": 2})))

    with pytest.raises(Conflict):
        await store.write(ReplaceRow(replace(first, columns={"n": 3})))

    assert second.etag != first.etag
    assert await store.get(JOBS, "p", "k") == second


async def test_replaced_row_has_only_the_new_columns(store: Store) -> None:
    [first] = await store.write(InsertRow(build_row(old=1)))

    await store.write(ReplaceRow(replace(first, columns={"new": 1})))

    found = await store.get(JOBS, "p", "k")
    assert found is not None
    assert dict(found.columns) == {"new": 1}


async def test_replace_of_a_deleted_row_raises_conflict(store: Store) -> None:
    [first] = await store.write(InsertRow(build_row()))
    await store.write(DeleteRow(first))

    with pytest.raises(Conflict):
        await store.write(ReplaceRow(first))


async def test_row_that_is_inserted_again_has_another_etag(store: Store) -> None:
    [first] = await store.write(InsertRow(build_row(n=1)))
    await store.write(DeleteRow(first))
    await store.write(InsertRow(build_row(n=1)))

    with pytest.raises(Conflict):
        await store.write(ReplaceRow(first))


async def test_upsert_creates_or_overwrites_a_row(store: Store) -> None:
    await store.write(UpsertRow(build_row(n=1)))
    await store.write(UpsertRow(build_row(m=2)))

    found = await store.get(JOBS, "p", "k")
    assert found is not None
    assert dict(found.columns) == {"m": 2}


async def test_delete_distinguishes_a_changed_and_a_missing_row(store: Store) -> None:
    [first] = await store.write(InsertRow(build_row(n=1)))
    await store.write(UpsertRow(build_row(n=2)))

    with pytest.raises(Conflict):
        await store.write(DeleteRow(first))
    await store.write(DeleteRow(replace(first, etag=None)))
    with pytest.raises(NotFound):
        await store.write(DeleteRow(replace(first, etag=None)))


async def test_batch_with_a_rejected_operation_changes_nothing(store: Store) -> None:
    await store.write(InsertRow(build_row("b")))

    with pytest.raises(AlreadyExists):
        await store.write(
            InsertRow(build_row("a")), UpsertRow(build_row("c")), InsertRow(build_row("b"))
        )

    assert await list_keys(store) == ["b"]


async def test_batch_returns_its_rows_in_order(store: Store) -> None:
    written = await store.write(*(InsertRow(build_row(f"{n:03}")) for n in range(100)))

    again = await store.write(*(ReplaceRow(done) for done in written))

    assert [done.key for done in again] == [f"{n:03}" for n in range(100)]


async def test_query_yields_rows_in_order_of_partition_and_key(store: Store) -> None:
    for partition in ("q", "p"):
        for start in range(0, 700, 100):
            await store.write(
                *(InsertRow(build_row(f"{n:04}", partition)) for n in range(start, start + 100))
            )

    found = [(r.partition, r.key) async for r in store.query(JOBS)]

    assert found == [(p, f"{n:04}") for p in ("p", "q") for n in range(700)]
    assert len(await list_keys(store, partition="q")) == 700


async def test_query_yields_only_rows_before_a_key(store: Store) -> None:
    await store.write(*(InsertRow(build_row(f"{n:04}", n=n % 2)) for n in range(10)))
    await store.write(InsertRow(build_row("0001", "q", n=0)))
    even = [Condition("n", "eq", 0)]

    found = [one.key async for one in store.query(JOBS, "p", where=even, before="0004")]

    assert found == ["0000", "0002"]


async def test_query_yields_only_rows_after_a_key(store: Store) -> None:
    await store.write(*(InsertRow(build_row(f"{n:04}", n=n % 2)) for n in range(10)))
    await store.write(InsertRow(build_row("0009", "q", n=0)))
    even = [Condition("n", "eq", 0)]

    found = store.query(JOBS, "p", where=even, before="0008", after="0002")

    assert [one.key async for one in found] == ["0004", "0006"]


@pytest.mark.parametrize("page_size", [1, 3, 1000])
async def test_query_with_small_pages_yields_the_same_rows(store: Store, page_size: int) -> None:
    """A reader that needs only the first rows asks for small pages."""
    await store.write(*(InsertRow(build_row(f"{n:04}")) for n in range(10)))

    found = [one.key async for one in store.query(JOBS, "p", page_size=page_size)]

    assert found == [f"{n:04}" for n in range(10)]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("eq", ["b"]),
        ("ne", ["a", "c"]),
        ("lt", ["a"]),
        ("le", ["a", "b"]),
        ("gt", ["c"]),
        ("ge", ["b", "c"]),
    ],
)
async def test_conditions_compare_text_numbers_and_booleans(
    store: Store, op: str, expected: list[str]
) -> None:
    for n, key in enumerate("abc"):
        await store.write(InsertRow(build_row(key, n=n, due=f"2026-01-0{n + 1}", mid=n == 1)))

    by_number = await list_keys(store, Condition("n", op, 1))
    by_text = await list_keys(store, Condition("due", op, "2026-01-02"), partition="p")

    assert by_number == by_text == expected
    assert await list_keys(store, Condition("mid", "eq", True)) == ["b"]


async def test_query_yields_rows_that_meet_all_conditions(store: Store) -> None:
    await store.write(
        InsertRow(build_row("a", n=1, s="it's")),
        InsertRow(build_row("b", n=2, s="it's")),
        InsertRow(build_row("c", n=2)),
    )

    assert await list_keys(store, Condition("n", "ge", 2), Condition("s", "eq", "it's")) == ["b"]


async def test_row_without_the_column_meets_no_condition(store: Store) -> None:
    await store.write(InsertRow(build_row("a")), InsertRow(build_row("b", n=5)))

    assert await list_keys(store, Condition("n", "ne", 4)) == ["b"]


async def test_row_is_found_only_in_its_own_table(store: Store) -> None:
    await store.write(InsertRow(build_row()))

    assert await store.get(PLANS, "p", "k") is None
    assert [found async for found in store.query(PLANS)] == []


@pytest.mark.parametrize(
    "bad",
    [
        build_row("a/b"),
        build_row("a\\b"),
        build_row("a#b"),
        build_row("a?b"),
        build_row("a\tb"),
        build_row("a\x85b"),
        build_row("k" * 513),
        build_row(partition="p/q"),
        build_row(text="x" * 32_769),
        build_row(text="😀" * 16_385),
        build_row(number=2**63),
        build_row_of({f"c{n}": "x" * 32_768 for n in range(17)}),
        build_row_of({f"c{n}": 1 for n in range(253)}),
        build_row_of({"not-a-name": 1}),
        build_row(RowKey="x"),
        StoreRow(table="no_table", partition="p", key="k", columns={}),
    ],
    ids=lambda bad: f"{ascii(bad.key)[:8]}-{len(bad.columns)}",
)
async def test_row_that_azure_tables_rejects_raises_value_error(
    store: Store, bad: StoreRow
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await store.write(UpsertRow(bad))


async def test_text_of_64_kib_is_stored(store: Store) -> None:
    await store.write(InsertRow(build_row(text="x" * 32_768, faces="😀" * 16_384)))

    found = await store.get(JOBS, "p", "k")
    assert found is not None
    assert len(str(found.columns["text"])) == 32_768


async def test_batch_that_azure_tables_rejects_raises_value_error(store: Store) -> None:
    batches: list[list[Operation]] = [
        [],
        [UpsertRow(build_row(f"{n}")) for n in range(101)],
        [UpsertRow(build_row("a", "p")), UpsertRow(build_row("b", "q"))],
        [UpsertRow(build_row("a")), UpsertRow(replace(build_row("b"), table=PLANS))],
        [UpsertRow(build_row("a")), DeleteRow(build_row("a"))],
        [ReplaceRow(build_row("a"))],
    ]

    for batch in batches:
        with pytest.raises(ValueError, match=r"."):
            await store.write(*batch)


async def test_concurrent_replaces_lose_no_increment(store: Store) -> None:
    await store.write(InsertRow(build_row(n=0)))

    async def count_step() -> int:
        lost = 0
        while True:
            found = await store.get(JOBS, "p", "k")
            assert found is not None
            try:
                await store.write(
                    ReplaceRow(replace(found, columns={"n": int(found.columns["n"]) + 1}))
                )
            except Conflict:
                lost += 1
            else:
                return lost

    await asyncio.gather(*(count_step() for _ in range(10)))

    found = await store.get(JOBS, "p", "k")
    assert found is not None
    assert found.columns["n"] == 10


async def test_batch_of_more_than_4_mib_raises_value_error(store: Store) -> None:
    """Azure Tables rejects such a request, whatever the number of rows."""
    columns = {f"data{number}": "x" * 30_000 for number in range(15)}
    rows = [build_row_of(columns, key=f"k{number}") for number in range(10)]

    with pytest.raises(ValueError, match="4 MiB"):
        await store.write(*map(UpsertRow, rows))

    assert await list_keys(store) == []


class SignedOut(AsyncTokenCredential):
    async def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        """Raise the error of the Azure CLI."""
        raise CredentialUnavailableError("Please run 'az login' to set up an account")

    async def close(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None: ...


async def test_store_without_a_token_says_what_is_missing() -> None:
    async with TableServiceClient("https://contoso.invalid", credential=SignedOut()) as service:
        with pytest.raises(ServiceUnavailable, match=r"Cannot sign in .*az login"):
            await TableStore(service).get(JOBS, "p", "k")


@pytest.mark.azurite
async def test_every_answer_of_a_storage_account_corrects_the_clock() -> None:
    wrong = ManualClock()

    async def read_time_after(ask: Callable[[Store], Awaitable[object]]) -> datetime:
        clock = StoreClock(wrong)
        async with TableServiceClient.from_connection_string(
            get_azurite_address(), raw_response_hook=clock.note_time
        ) as service:
            assert clock.now() == wrong.now()
            with suppress(Conflict):
                await ask(TableStore(service))
        return clock.now()

    async def list_rows(store: Store) -> list[StoreRow]:
        return [one async for one in store.query(JOBS)]

    asked: list[Callable[[Store], Awaitable[object]]] = [
        lambda store: store.write(UpsertRow(build_row("time"))),
        lambda store: store.write(InsertRow(build_row("time"))),
        lambda store: store.get(JOBS, "p", "time"),
        lambda store: store.get(JOBS, "p", "nothing"),
        list_rows,
    ]
    for ask in asked:
        before = datetime.now(UTC) - timedelta(seconds=2)
        assert before < await read_time_after(ask) < datetime.now(UTC) + timedelta(seconds=1)

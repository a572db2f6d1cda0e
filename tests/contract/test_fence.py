"""Test that only the newest invocation can write the rows of a job, on every store."""

import pytest

from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.errors import LeaseLost
from shared.jobs.fenced_rows import FencedRows
from shared.ports import Store, UpsertRow
from shared.tables import Tables
from tests.contract.test_store import store as store

CALLER = Caller(kind="flow", address="a", label="flow A", resource_id="a")


def build_rows(store: Store, number: int | None) -> FencedRows[CallerRecord]:
    """Return the rows of an invocation with this lease."""
    return FencedRows(Tables(store).callers, "job", number)


def record(state: CallerState, identity: str = "a") -> CallerRecord:
    """Return a row."""
    return CallerRecord(job_id="job", id=identity, caller=CALLER, state=state)


async def test_write_with_an_older_lease_is_rejected_after_a_newer_lease_has_read(
    store: Store,
) -> None:
    """The rows that the newer lease has read stay true, whether the older one has written
    or not.
    """
    older, oldest = build_rows(store, 2), build_rows(store, 1)
    await oldest.upsert(record(CallerState.FOUND))
    await older.upsert(record(CallerState.WRITING))

    assert await build_rows(store, 3).all() == [record(CallerState.WRITING)]

    for one in (older, oldest, build_rows(store, 2)):
        with pytest.raises(LeaseLost):
            await one.upsert(record(CallerState.UPDATED), record(CallerState.FOUND, "b"))
        with pytest.raises(LeaseLost):
            await one.delete(record(CallerState.UPDATED))
    assert await build_rows(store, 3).all() == [record(CallerState.WRITING)]


async def test_unanswered_write_can_be_repeated_with_the_same_lease(store: Store) -> None:
    """The fence has moved with the same number, so no other invocation has the row."""
    one, fake = build_rows(store, 1), build_rows(store, 1)
    await one.upsert(record(CallerState.FOUND))
    await fake.upsert(record(CallerState.WRITING))

    await one.upsert(record(CallerState.UPDATED))

    assert await one.all() == [record(CallerState.UPDATED)]


async def test_many_rows_are_written_and_removed(store: Store) -> None:
    """The rows need several batches, and a row that is gone is no error."""
    many = [record(CallerState.FOUND, f"{number:03}") for number in range(45)]
    held = build_rows(store, 1)

    await held.upsert(*many)
    await held.delete(*many[:30], record(CallerState.FOUND, "gone"))

    assert await held.all() == many[30:]


async def test_last_user_of_shared_rows_has_the_newest_lease(store: Store) -> None:
    """The jobs' leases count separately, so none of them has a number."""
    older, newer = build_rows(store, None), build_rows(store, None)
    await older.upsert(record(CallerState.FOUND))

    await newer.clear()

    with pytest.raises(LeaseLost):
        await older.upsert(record(CallerState.WRITING))
    await newer.upsert(record(CallerState.UPDATED))
    assert await build_rows(store, None).all() == [record(CallerState.UPDATED)]
    with pytest.raises(LeaseLost):
        await newer.clear()


async def test_rows_without_a_fence_get_one(store: Store) -> None:
    """These rows were written without a fence."""
    table = Tables(store).callers
    for batch in table.batches(record(CallerState.WRITING)):
        assert all(isinstance(one, UpsertRow) for one in batch)
        await store.write(*batch)

    held = build_rows(store, 1)
    assert await held.all() == [record(CallerState.WRITING)]
    await held.upsert(record(CallerState.UPDATED))

    assert await table.all("job") == [record(CallerState.UPDATED)]
    await table.clear("job")
    with pytest.raises(LeaseLost):
        await build_rows(store, 0).all()


async def test_single_user_writes_the_fence_with_its_first_write(
    store: Store,
) -> None:
    """A read writes nothing; after the first write an older lease is rejected as usual."""
    table, older = Tables(store).callers, build_rows(store, 1)
    await older.upsert(record(CallerState.FOUND))
    alone = FencedRows(table, "job", 2, is_alone=True)

    assert await alone.all() == [record(CallerState.FOUND)]
    await older.upsert(record(CallerState.WRITING))  # it was not the last after all
    await alone.upsert(record(CallerState.UPDATED))

    with pytest.raises(LeaseLost):
        await older.upsert(record(CallerState.FOUND))
    assert await alone.all() == [record(CallerState.UPDATED)]
    with pytest.raises(LeaseLost):
        await FencedRows(table, "job", 1, is_alone=True).all()

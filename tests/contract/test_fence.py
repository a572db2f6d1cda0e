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


def rows(store: Store, number: int | None) -> FencedRows[CallerRecord]:
    """Return the rows of an invocation with this lease."""
    return FencedRows(Tables(store).callers, "job", number)


def record(state: CallerState, identity: str = "a") -> CallerRecord:
    """Return a row."""
    return CallerRecord(job_id="job", id=identity, caller=CALLER, state=state)


async def test_an_older_lease_writes_nothing_once_a_newer_one_has_read(store: Store) -> None:
    """The rows that the newer lease has read stay true, whether the older one has written
    or not.
    """
    older, oldest = rows(store, 2), rows(store, 1)
    await oldest.upsert(record(CallerState.FOUND))
    await older.upsert(record(CallerState.WRITING))

    assert await rows(store, 3).all() == [record(CallerState.WRITING)]

    for one in (older, oldest, rows(store, 2)):
        with pytest.raises(LeaseLost):
            await one.upsert(record(CallerState.UPDATED), record(CallerState.FOUND, "b"))
        with pytest.raises(LeaseLost):
            await one.delete(record(CallerState.UPDATED))
    assert await rows(store, 3).all() == [record(CallerState.WRITING)]


async def test_a_write_that_was_not_answered_is_made_again(store: Store) -> None:
    """The fence has moved with the same number, so no other invocation has the row."""
    one, fake = rows(store, 1), rows(store, 1)
    await one.upsert(record(CallerState.FOUND))
    await fake.upsert(record(CallerState.WRITING))

    await one.upsert(record(CallerState.UPDATED))

    assert await one.all() == [record(CallerState.UPDATED)]


async def test_many_rows_are_written_and_removed(store: Store) -> None:
    """The rows need several batches, and a row that is gone is no error."""
    many = [record(CallerState.FOUND, f"{number:03}") for number in range(45)]
    held = rows(store, 1)

    await held.upsert(*many)
    await held.delete(*many[:30], record(CallerState.FOUND, "gone"))

    assert await held.all() == many[30:]


async def test_of_rows_that_jobs_share_the_last_to_take_them_is_the_newest(store: Store) -> None:
    """The jobs' leases count separately, so none of them has a number."""
    older, newer = rows(store, None), rows(store, None)
    await older.upsert(record(CallerState.FOUND))

    await newer.clear()

    with pytest.raises(LeaseLost):
        await older.upsert(record(CallerState.WRITING))
    await newer.upsert(record(CallerState.UPDATED))
    assert await rows(store, None).all() == [record(CallerState.UPDATED)]
    with pytest.raises(LeaseLost):
        await newer.clear()


async def test_rows_of_an_earlier_version_are_taken_under_the_fence(store: Store) -> None:
    """These rows were written without a fence."""
    table = Tables(store).callers
    for batch in table.batches(record(CallerState.WRITING)):
        assert all(isinstance(one, UpsertRow) for one in batch)
        await store.write(*batch)

    held = rows(store, 1)
    assert await held.all() == [record(CallerState.WRITING)]
    await held.upsert(record(CallerState.UPDATED))

    assert await table.all("job") == [record(CallerState.UPDATED)]
    await table.clear("job")
    with pytest.raises(LeaseLost):
        await rows(store, 0).all()


async def test_where_nobody_else_is_left_the_number_goes_there_with_the_first_write(
    store: Store,
) -> None:
    """A read writes nothing; after the first write an older lease is rejected as usual."""
    table, older = Tables(store).callers, rows(store, 1)
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

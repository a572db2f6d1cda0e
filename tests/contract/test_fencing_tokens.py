import pytest

from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.errors import LeaseLost
from shared.jobs.fenced_rows import FencedRows
from shared.ports import Store, UpsertRow
from shared.state.tables import Tables
from tests.contract.test_store import store as store

CALLER = Caller(kind="flow", address="a", label="flow A", resource_id="a")


def build_rows(store: Store, number: int | None) -> FencedRows[CallerRecord]:
    return FencedRows(Tables(store).callers, "job", number)


def build_record(state: CallerState, identity: str = "a") -> CallerRecord:
    return CallerRecord(job_id="job", id=identity, caller=CALLER, state=state)


async def test_write_with_an_older_lease_is_rejected_after_a_newer_lease_has_read(
    store: Store,
) -> None:
    older, oldest = build_rows(store, 2), build_rows(store, 1)
    await oldest.upsert(build_record(CallerState.FOUND))
    await older.upsert(build_record(CallerState.WRITING))

    assert await build_rows(store, 3).read_all() == [build_record(CallerState.WRITING)]

    for one in (older, oldest, build_rows(store, 2)):
        with pytest.raises(LeaseLost):
            await one.upsert(
                build_record(CallerState.UPDATED), build_record(CallerState.FOUND, "b")
            )
        with pytest.raises(LeaseLost):
            await one.delete(build_record(CallerState.UPDATED))
    assert await build_rows(store, 3).read_all() == [build_record(CallerState.WRITING)]


async def test_unanswered_write_can_be_repeated_with_the_same_lease(store: Store) -> None:
    """A write may have succeeded although its answer was lost."""
    one, fake = build_rows(store, 1), build_rows(store, 1)
    await one.upsert(build_record(CallerState.FOUND))
    await fake.upsert(build_record(CallerState.WRITING))

    await one.upsert(build_record(CallerState.UPDATED))

    assert await one.read_all() == [build_record(CallerState.UPDATED)]


async def test_many_rows_are_written_and_removed(store: Store) -> None:
    many = [build_record(CallerState.FOUND, f"{number:03}") for number in range(45)]
    held = build_rows(store, 1)

    await held.upsert(*many)
    await held.delete(*many[:30], build_record(CallerState.FOUND, "gone"))

    assert await held.read_all() == many[30:]


async def test_last_reader_of_shared_rows_may_write_them(store: Store) -> None:
    older, newer = build_rows(store, None), build_rows(store, None)
    await older.upsert(build_record(CallerState.FOUND))

    await newer.clear()

    with pytest.raises(LeaseLost):
        await older.upsert(build_record(CallerState.WRITING))
    await newer.upsert(build_record(CallerState.UPDATED))
    assert await build_rows(store, None).read_all() == [build_record(CallerState.UPDATED)]
    with pytest.raises(LeaseLost):
        await newer.clear()


async def test_rows_written_without_a_fence_get_one(store: Store) -> None:
    table = Tables(store).callers
    for batch in table.split_into_batches(build_record(CallerState.WRITING)):
        assert all(isinstance(one, UpsertRow) for one in batch)
        await store.write(*batch)

    held = build_rows(store, 1)
    assert await held.read_all() == [build_record(CallerState.WRITING)]
    await held.upsert(build_record(CallerState.UPDATED))

    assert await table.read_all("job") == [build_record(CallerState.UPDATED)]
    await table.clear("job")
    with pytest.raises(LeaseLost):
        await build_rows(store, 0).read_all()


async def test_single_user_writes_the_fence_with_its_first_write(
    store: Store,
) -> None:
    table, older = Tables(store).callers, build_rows(store, 1)
    await older.upsert(build_record(CallerState.FOUND))
    alone = FencedRows(table, "job", 2, is_alone=True)

    assert await alone.read_all() == [build_record(CallerState.FOUND)]
    await older.upsert(build_record(CallerState.WRITING))  # it was not the last after all
    await alone.upsert(build_record(CallerState.UPDATED))

    with pytest.raises(LeaseLost):
        await older.upsert(build_record(CallerState.FOUND))
    assert await alone.read_all() == [build_record(CallerState.UPDATED)]
    with pytest.raises(LeaseLost):
        await FencedRows(table, "job", 1, is_alone=True).read_all()

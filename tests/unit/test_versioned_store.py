import asyncio
from dataclasses import replace

import pytest

from shared import queues
from shared.adapters.state.versioned_store import COLUMN, EARLIER_TABLES, VersionedStore
from shared.bootstrap.core_services import _build_store
from shared.errors import JobBlocked
from shared.ports import InsertRow, StoreRow
from shared.state.tables import Tables
from tests.fakes.memory_store import MemoryStore

NEW = StoreRow(table="remediations", partition="remediation", key="r", columns={"chunks": 0})


def build_versioned_store(store: MemoryStore) -> VersionedStore:
    return VersionedStore(store, [table.name for table in Tables(store)], "Use a new one.")


async def find_rejections(store: MemoryStore) -> JobBlocked:
    """Require that reads and writes of the store are rejected. Return the last error."""
    before = dict(store.rows)
    for _ in range(2):  # the second try is rejected, too
        checked = build_versioned_store(store)
        with pytest.raises(JobBlocked):
            await checked.write(InsertRow(NEW))
        with pytest.raises(JobBlocked):
            await checked.get("remediations", "remediation", "r")
        with pytest.raises(JobBlocked) as caught:
            assert [row async for row in checked.query("remediations")] == []
    assert store.rows == before
    return caught.value


async def test_row_is_stored_with_the_version_and_read_without_it() -> None:
    store = MemoryStore()

    (written,) = await build_versioned_store(store).write(InsertRow(NEW))

    assert store.rows["remediations", "remediation", "r"].columns == {"chunks": 0, COLUMN: 1}
    assert await build_versioned_store(store).get("remediations", "remediation", "r") == written
    assert [row async for row in build_versioned_store(store).query("remediations")] == [written]
    assert written.columns == NEW.columns


@pytest.mark.parametrize("table", EARLIER_TABLES)
async def test_store_with_an_earlier_table_is_rejected(table: str) -> None:
    store = MemoryStore()
    await store.write(InsertRow(replace(NEW, table=table)))

    error = await find_rejections(store)

    assert error.reason == (
        f"The store was written by an earlier version of the app (table {table})."
    )
    assert error.fix == "Use a new one."


@pytest.mark.parametrize("table", [one.name for one in Tables(MemoryStore())])
async def test_store_with_a_row_without_version_is_rejected(table: str) -> None:
    store = MemoryStore()
    await store.write(InsertRow(replace(NEW, table=table)))

    assert f"(table {table})" in (await find_rejections(store)).reason


async def test_store_of_a_later_version_is_rejected() -> None:
    """Somebody may deploy an older version of the app again."""
    store = MemoryStore()
    await build_versioned_store(store).write(InsertRow(NEW))
    mark = store.rows["schema", "schema", "version"]
    store.rows["schema", "schema", "version"] = replace(mark, columns={COLUMN: 2})

    assert "schema version 2" in (await find_rejections(store)).reason


async def test_row_of_a_later_version_is_rejected_by_an_instance_that_still_runs() -> None:
    """During a deployment, an instance of the old version may read rows of the new one."""
    store = MemoryStore()
    running = build_versioned_store(store)
    await running.write(InsertRow(NEW))
    name = ("remediations", "remediation", "r")
    store.rows[name] = replace(store.rows[name], columns={"chunks": 0, COLUMN: 2})

    with pytest.raises(JobBlocked, match="schema version 2"):
        await running.get(*name)
    with pytest.raises(JobBlocked, match="schema version 2"):
        assert [row async for row in running.query("remediations")] == []


async def test_instances_that_start_together_accept_an_empty_store() -> None:
    """Rows that another instance has just written must not count as those of an earlier version."""
    store = MemoryStore()

    await asyncio.gather(
        *(
            build_versioned_store(store).write(InsertRow(replace(NEW, key=f"r{number}")))
            for number in range(5)
        )
    )

    assert len([row async for row in build_versioned_store(store).query("remediations")]) == 5


async def test_instance_accepts_rows_that_another_wrote_during_its_check() -> None:
    """The other instance stores the version just after this one has read that there is none."""

    class Late(MemoryStore):
        looks = 0

        async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
            found = await super().get(table, partition, key)
            self.looks += 1
            return None if self.looks == 1 else found

    store = Late()
    store.looks = 1
    await build_versioned_store(store).write(InsertRow(NEW))
    store.looks = 0

    assert await build_versioned_store(store).get("remediations", "remediation", "r") is not None


async def test_checked_store_is_not_checked_again() -> None:
    store, reads = MemoryStore(), list[str]()
    checked = build_versioned_store(store)
    await checked.write(InsertRow(NEW))
    store.get = reads.append  # type: ignore[method-assign,assignment]

    await checked.write(InsertRow(replace(NEW, key="s")))

    assert reads == []


def test_remedy_names_every_queue() -> None:
    """The messages in the queues refer to rows of the store."""
    names = {queues.KEY_EVENTS, queues.POLICY_EVENTS, queues.ENVIRONMENT_JOBS, queues.FLOW_JOBS}
    texts = " ".join(map(str, _build_store.__code__.co_consts))

    assert {name for name in names if name not in texts} == set()

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from shared.adapters.state.sqlite_store import SqliteStore
from shared.errors import AlreadyExists, ServiceUnavailable
from shared.ports import InsertRow, StoreRow

_COUNT = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from shared.adapters.state.sqlite_store import SqliteStore
from shared.errors import Conflict
from shared.ports import ReplaceRow

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    done = 0
    while done < 20:
        row = await store.get("Counters", "p", "k")
        try:
            await store.write(ReplaceRow(replace(row, columns={"n": row.columns["n"] + 1})))
            done += 1
        except Conflict:
            pass
    await store.close()

asyncio.run(main())
"""


async def test_processes_share_the_file_without_losing_a_write(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    await store.write(
        InsertRow(StoreRow(table="Counters", partition="p", key="k", columns={"n": 0}))
    )

    root = Path(__file__).parents[2]
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _COUNT, str(file), cwd=root)
        for _ in range(2)
    ]
    codes = [await process.wait() for process in processes]

    assert codes == [0, 0]
    row = await store.get("Counters", "p", "k")
    await store.close()
    assert row is not None
    assert row.columns["n"] == 40


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "state.db")
    await first.write(InsertRow(StoreRow(table="Jobs", partition="p", key="k", columns={"n": 1})))
    await first.close()

    second = SqliteStore(tmp_path / "state.db")
    row = await second.get("Jobs", "p", "k")
    await second.close()

    assert row is not None


async def test_broken_database_raises_service_unavailable(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("DROP TABLE entity")
    other.close()

    with pytest.raises(ServiceUnavailable):
        await store.get("Jobs", "p", "k")

    await store.close()


def build_row(key: str) -> StoreRow:
    return StoreRow(table="Jobs", partition="p", key=key, columns={"n": 1})


async def test_concurrent_writes_share_a_commit(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    await store.write(InsertRow(build_row("there")))
    statements: list[str] = []
    store._database.set_trace_callback(statements.append)
    keys = ["a", "there", "b", "c"]

    outcomes = await asyncio.gather(
        *(
            store.write(InsertRow(build_row(key)), InsertRow(build_row(f"{key}-too")))
            for key in keys
        ),
        return_exceptions=True,
    )

    assert statements.count("COMMIT") < len(keys)
    assert [type(one) for one in outcomes] == [list, AlreadyExists, list, list]
    found = [one.key async for one in store.query("Jobs", "p")]
    assert found == ["a", "a-too", "b", "b-too", "c", "c-too", "there"]
    await store.close()


async def test_cancelled_write_does_not_cancel_other_writes(tmp_path: Path) -> None:
    """Writes that wait at the same time are committed together."""
    store = SqliteStore(tmp_path / "state.db")
    with store._lock:  # as if the disk were slow
        tasks = [asyncio.ensure_future(store.write(InsertRow(build_row(f"{n}")))) for n in range(4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)

    await asyncio.gather(*tasks[2:])

    found = [one.key async for one in store.query("Jobs", "p")]
    assert set(found) >= {"2", "3"}
    await store.close()


async def test_write_waits_for_a_file_lock_of_another_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    await store.write(InsertRow(build_row("there")))
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    written = asyncio.ensure_future(store.write(InsertRow(build_row("late"))))
    assert await store.get("Jobs", "p", "there") is not None
    assert not written.done()
    other.execute("COMMIT")

    await written
    assert await store.get("Jobs", "p", "late") is not None
    other.close()
    await store.close()

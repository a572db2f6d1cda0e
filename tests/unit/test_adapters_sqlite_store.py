"""What is particular to the SQLite store: one file, several processes."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from shared.adapters.state.sqlite_store import SqliteStore
from shared.errors import Unavailable
from shared.ports import Insert, Row

_COUNT = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from shared.adapters.state.sqlite_store import SqliteStore
from shared.errors import Conflict
from shared.ports import Replace

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    done = 0
    while done < 20:
        row = await store.get("Counters", "p", "k")
        try:
            await store.write(Replace(replace(row, columns={"n": row.columns["n"] + 1})))
            done += 1
        except Conflict:
            pass
    await store.close()

asyncio.run(main())
"""


async def test_processes_share_the_file_without_losing_a_write(tmp_path: Path) -> None:
    """Two processes count up one row; each lost race is a conflict, none is a lost step."""
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    await store.write(Insert(Row(table="Counters", partition="p", key="k", columns={"n": 0})))

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
    """A store opened anew on the file holds what was written."""
    first = SqliteStore(tmp_path / "state.db")
    await first.write(Insert(Row(table="Jobs", partition="p", key="k", columns={"n": 1})))
    await first.close()

    second = SqliteStore(tmp_path / "state.db")
    row = await second.get("Jobs", "p", "k")
    await second.close()

    assert row is not None


async def test_a_database_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """A fault of the database is a transient error, not one of SQLite's."""
    store = SqliteStore(tmp_path / "state.db")
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("DROP TABLE entity")
    other.close()

    with pytest.raises(Unavailable):
        await store.get("Jobs", "p", "k")

    await store.close()

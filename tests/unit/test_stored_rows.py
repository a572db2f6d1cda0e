import json

import pytest

from shared.adapters.state.versioned_store import COLUMN, SCHEMA_VERSION, VersionedStore
from shared.ports import StoreRow
from shared.state.rows import FENCE
from shared.state.tables import Tables
from tests.fakes.memory_store import MemoryStore
from tests.stored_rows import FOLDER

VERSIONS = range(1, SCHEMA_VERSION + 1)


def read_stored_rows(version: int) -> list[StoreRow]:
    """Return the rows that an app of this schema version stored."""
    return [StoreRow(**one) for one in json.loads((FOLDER / f"version-{version}.json").read_text())]


@pytest.mark.parametrize("version", VERSIONS)
async def test_rows_of_a_version_are_read(version: int) -> None:
    store, rows = MemoryStore(), read_stored_rows(version)

    for table in Tables(VersionedStore(store, [], "")):
        its = [row for row in rows if row.table == table.name and row.key != FENCE]
        assert its, f"no row of {table.name}"
        for row in its:
            store.rows = {(row.table, row.partition, row.key): row}
            (kept,) = [one async for one in table.query()]
            assert kept.unknown is None


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_has_its_version(version: int) -> None:
    assert {row.columns[COLUMN] for row in read_stored_rows(version)} == {version}

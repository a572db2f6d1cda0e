from pathlib import Path
from typing import Any

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from cmkflow.state_file import StateFile
from cmkflow.state_transfer import StatePlace, export_state, import_state
from shared.adapters.archive.blob import BlobArchive
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.adapters.state.table_store import TableStore
from tests.contract.test_store import get_azurite_address
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.functional.cli.test_cli_state import (
    SECRET,
    build_place,
    build_running_scenario,
    export_scenario,
)


@pytest.mark.azurite
async def test_state_moves_to_a_storage_account_and_back(tmp_path: Path) -> None:
    #: An account of this test only: an import needs an empty one.
    address = get_azurite_address().replace("devstoreaccount1", "restored")
    scenario = await build_running_scenario()
    _, exported = await export_scenario(scenario, tmp_path / "first")
    async with (
        TableServiceClient.from_connection_string(address) as tables,
        BlobServiceClient.from_connection_string(address) as blobs,
    ):
        async for table in tables.list_tables():
            await tables.delete_table(table.name)
        container = blobs.get_container_client("archive")
        if await container.exists():
            await container.delete_container()
        await container.create_container()
        account = StatePlace(TableStore(tables), BlobArchive(container, NoCircuitBreakerGate()))
        await import_state(account, exported)
        copied = StateFile.create(tmp_path / "second", SECRET)
        await export_state(account, copied)
    direct, _ = build_place()
    new, _ = build_place()

    await import_state(direct, exported)
    await import_state(new, copied)

    assert read_values(new) == read_values(direct)
    assert isinstance(new.archive, MemoryArchive)
    assert new.archive.contents == scenario.fakes.archive.contents


def read_values(place: StatePlace) -> dict[Any, Any]:
    assert isinstance(place.store, MemoryStore)
    return {
        name: {column: (type(value), value) for column, value in row.columns.items()}
        for name, row in place.store.rows.items()
    }

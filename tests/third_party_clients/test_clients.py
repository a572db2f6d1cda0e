"""Test clients in Python, each of which runs in a separate process without this project's
packages.
"""

import json
import os
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.adapters.state.table_store import TableStore
from shared.errors import Conflict
from shared.ports import InsertRow, ReplaceRow, Scalar, StoreRow
from tests.third_party_clients.documented import compare_answers
from tests.third_party_clients.installed_clients import (
    INSTALLED,
    needs_third_party_clients,
    serve_third_party_world,
)

CLIENTS = Path(__file__).with_name("clients")


async def check_client(
    client: str, python: Path, script: str, tests: pytest.Subtests, **environment: str
) -> None:
    """Run a client.

    Each of its requests must succeed, or be rejected with an error that the client can read.
    """
    async with serve_third_party_world() as world:
        ended = await world.run(python, CLIENTS / script, **environment)
        assert world.server.refused_hosts == []
    assert ended.code == 0, ended.stderr
    document = json.loads(ended.stdout)
    rows = [(name, answer) for name, answer in document["results"]]
    for name, answer in rows:
        with tests.test(name):
            assert not answer.startswith("fails")
    compare_answers(client, document["about"], rows)


@needs_third_party_clients
@pytest.mark.parametrize(
    ("script", "client"),
    [
        ("azure_sdks.py", "SDKs for Azure"),
        ("powerplatform_management.py", "Power Platform Management SDK"),
    ],
)
async def test_microsoft_sdks_work_with_the_tenant(
    subtests: pytest.Subtests, script: str, client: str
) -> None:
    await check_client(client, INSTALLED / "bin" / "python", script, subtests)


async def test_enterprise_policy_scripts_work_with_the_tenant(subtests: pytest.Subtests) -> None:
    """No client has to be installed, because the requests need only Python's standard library."""
    client = "Microsoft's scripts for enterprise policies"
    await check_client(client, Path(sys.executable), "enterprise_policy_scripts.py", subtests)


@needs_third_party_clients
@pytest.mark.azurite
@pytest.mark.skipif("AZURITE_CONNECTION_STRING" not in os.environ, reason="needs Azurite")
async def test_azure_tables_client_reads_and_changes_the_state_store(
    subtests: pytest.Subtests,
) -> None:
    account, table = os.environ["AZURITE_CONNECTION_STRING"], f"ThirdParty{uuid4().hex}"
    columns: dict[str, Scalar] = {"state": "copied", "tries": 3, "share": 0.5, "waits": True}
    rows = [
        StoreRow(table=table, partition=partition, key=key, columns=columns)
        for partition, key in (("e1", "k1"), ("e1", "k2"), ("e2", "k1"))
    ]
    async with TableServiceClient.from_connection_string(account) as service:
        store = TableStore(service)
        mine, *_ = [(await store.write(InsertRow(row)))[0] for row in rows]
        python = INSTALLED / "bin" / "python"
        name = "azure-data-tables on the state store"
        environment = {"AZURITE_CONNECTION_STRING": account, "TABLE": table}
        await check_client(name, python, "data_tables.py", subtests, **environment)

        found = await store.get(table, "e1", "k1")
        with pytest.raises(Conflict):
            await store.write(ReplaceRow(mine))
        await service.delete_table(table)
    assert found is not None
    assert found.columns["state"] == "blocked"

"""Keep rows of every table as each release has stored them, to test that later releases can read
them.

`python -m tests.stored_rows` adds the rows of this release that are new to
tests/stored_rows/version-N.json. N is the version of the schema. Earlier rows stay in the file.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.adapters.state.versioned_store import COLUMN, SCHEMA_VERSION, VersionedStore
from shared.domain.environment import ApprovalPolicy
from shared.ports import StoreRow
from shared.state.rows import FENCE, Table
from shared.state.tables import Tables
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.memory_store import MemoryStore
from tests.functional.scenarios.example_item import build_example
from tests.functional.scenarios.remediation_scenario import Scenario

FOLDER = Path(__file__).parent / "stored_rows"


async def run_remediation() -> MemoryStore:
    """Run a remediation whose flows end in several ways, and return its store."""
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    orders, invoices = (
        scenario.build.add_http_flow("Orders"),
        scenario.build.add_http_flow("Invoices"),
    )
    scenario.build.add_app_setting_caller(orders, site="orders-app")
    scenario.build.add_secret_caller(invoices)
    scenario.build.apply_key()
    await scenario.opt_in()
    await poll_environments(scenario.services)
    await scenario.order()
    await scenario.run(timedelta(days=30))
    await run_daily_check(scenario.services, "today")
    store = scenario.fakes.store
    assert isinstance(store, MemoryStore)
    return store


async def build_rows() -> list[StoreRow]:
    """Return up to two rows of each table: one that a remediation has stored, and one built from
    the column types.
    """
    ran = (await run_remediation()).rows.values()
    store = MemoryStore()
    tables = Tables(VersionedStore(store, [], ""))
    for name, kind in Tables.list_item_types().items():
        table: Table[Any] = getattr(tables, name)
        found = [row for row in ran if row.table == table.name and row.key != FENCE]
        for row in found[:1]:
            await table.upsert(table.parse_row(row).item)
        await table.upsert(build_example(kind, {}))
    return [store.rows[name] for name in sorted(store.rows)]


def format_documents(stored: list[StoreRow]) -> Iterator[dict[str, object]]:
    for row in stored:
        yield {
            "table": row.table,
            "partition": row.partition,
            "key": row.key,
            "columns": dict(sorted(row.columns.items())),
        }


def main() -> None:
    """Add the rows of this release to the file of its schema version."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"version-{SCHEMA_VERSION}.json"
    known = json.loads(path.read_text()) if path.exists() else []
    new = [one for one in format_documents(asyncio.run(build_rows())) if one not in known]
    ordered = sorted([*known, *new], key=lambda one: str(one["table"]))
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in ordered)
    path.write_text(f"[\n{lines}\n]\n")
    assert COLUMN in lines


if __name__ == "__main__":
    main()

"""Use Microsoft's client for Azure Tables on the tables of the app's store.

An administrator may use this client to read rows or to change one. This script runs in a separate
process that knows only its environment variables.
"""

import os
from collections.abc import Callable
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import TableClient, TableServiceClient, UpdateMode
from results import join_versions, report_all

SERVICE = TableServiceClient.from_connection_string(os.environ["AZURITE_CONNECTION_STRING"])
#: The store's table, which bears another name in each run.
TABLE: TableClient = SERVICE.get_table_client(os.environ["TABLE"])


def find_keys(text: str = "") -> str:
    return ", ".join(each["RowKey"] for each in TABLE.query_entities(text)) or "none"


def read_types() -> str:
    row = TABLE.get_entity("e1", "k1")
    columns = {name: type(value).__name__ for name, value in row.items()}
    return ", ".join(f"{name}: {kind}" for name, kind in sorted(columns.items()))


def change_row(**options: Any) -> str:
    """Change a row if it meets a condition of the client, such as an ETag. Return its new state."""
    row = TABLE.get_entity("e1", "k1")
    TABLE.update_entity(row | {"state": "blocked"}, mode=UpdateMode.MERGE, **options)
    return str(TABLE.get_entity("e1", "k1")["state"])


def find_table() -> str:
    return str(TABLE.table_name in {each.name for each in SERVICE.list_tables()})


CALLS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("list_tables", find_table),
    ("query_entities", find_keys),
    ("query_entities, of a partition", lambda: find_keys("PartitionKey eq 'e1'")),
    (
        "query_entities, by text, number and truth",
        lambda: find_keys("state eq 'copied' and tries gt 2L and waits eq true"),
    ),
    ("get_entity", read_types),
    ("get_entity, unknown", lambda: str(TABLE.get_entity("e1", "no"))),
    (
        "update_entity, with an old etag",
        lambda: change_row(etag='W/"old"', match_condition=MatchConditions.IfNotModified),
    ),
    ("update_entity", change_row),
)

if __name__ == "__main__":
    report_all(CALLS, join_versions("azure-data-tables"))

"""Use Microsoft's client for Dataverse, signed in as a managed identity."""

import json
from collections.abc import Callable

from azure.identity import ManagedIdentityCredential
from caller_places import URL, Calls, run
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.models import col

CLIENT = DataverseClient("https://contoso.crm4.dynamics.com", ManagedIdentityCredential())
WEBHOOK, SITE_PART, TOPIC = "serviceendpoint", "powerpagecomponent", "botcomponent"
SITE_ROW = "51000000-0000-4000-8000-0000000000a1"
#: A table → a row with the URL, and the column that has it.
ROWS: dict[str, tuple[dict[str, object], str]] = {
    WEBHOOK: ({"name": "sales", "url": URL, "contract": 8, "authtype": 4, "authvalue": "x"}, "url"),
    SITE_PART: (
        {
            "name": "Flow/Url",
            "powerpagecomponenttype": 9,
            "content": json.dumps({"value": URL, "source": 0}),
            "powerpagesiteid@odata.bind": f"/powerpagesites({SITE_ROW})",
        },
        "content",
    ),
    TOPIC: ({"name": "Order", "componenttype": 9, "data": f"kind: Http\nurl: {URL}\n"}, "data"),
}


def create_row(table: str) -> Callable[[], str]:
    """Return a function that creates a row with the URL in this table, and reads it again."""

    def create() -> str:
        row, column = ROWS[table]
        identity = CLIENT.records.create(table, row)
        return str(CLIENT.records.retrieve(table, identity, select=["name", column])[column])

    return create


def list_rows(table: str) -> Callable[[], str]:
    """Return a function that lists all rows of this table."""

    def read() -> str:
        _, column = ROWS[table]
        found = CLIENT.records.list(table, select=["name", column])
        return ", ".join(sorted(f"{one['name']} {one[column]}" for one in found))

    return read


def update_row() -> str:
    """Change the description of a webhook, and return it as a filter finds it."""
    [webhook] = find_webhooks("sales")
    CLIENT.records.update(WEBHOOK, webhook["serviceendpointid"], {"description": "x"})
    return ", ".join(str(one["description"]) for one in find_webhooks("sales"))


def find_webhooks(name: str) -> list[dict[str, object]]:
    query = CLIENT.query.builder(WEBHOOK).select("name", "description")
    return [dict(one) for one in query.where(col("name") == name).execute()]


def delete_row() -> str:
    """Create a webhook, delete it, and try to read it."""
    row = {"name": "deleted", "url": "https://contoso.example", "contract": 8}
    identity = CLIENT.records.create(WEBHOOK, row)
    CLIENT.records.delete(WEBHOOK, identity)
    return str(CLIENT.records.retrieve(WEBHOOK, identity, select=["name"]))


WRITES: Calls = {
    **{f"records.create, {table}": create_row(table) for table in ROWS},
    "records.update, serviceendpoint": update_row,
    "records.delete, serviceendpoint": delete_row,
}
READS: Calls = {f"records.list, {table}": list_rows(table) for table in ROWS}

if __name__ == "__main__":
    run(WRITES, READS, "PowerPlatform-Dataverse-Client")

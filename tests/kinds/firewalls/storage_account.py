"""A storage account whose IP rules let some prefixes in."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, resource, resources_case


def account(rules: Sequence[Json] = (), location: str = "eastus", **properties: object) -> Json:
    """Return an account that lets nobody else in; not in a region of the flows."""
    return resource(
        "Microsoft.Storage/storageAccounts",
        "orders",
        properties={
            "primaryEndpoints": {"blob": f"https://{HOST}/", "table": "https://t.example/"},
            "networkAcls": {"defaultAction": "Deny", "ipRules": [*rules]},
            **properties,
        },
        location=location,
    )


CASE = resources_case(
    "orders",
    lambda sources: [account([{"value": source, "action": "Allow"} for source in sources])],
)

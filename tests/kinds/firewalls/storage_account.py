"""A storage account whose IP rules let some prefixes in."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from tests.kinds.case import HOST, Json, resource, resources_case

_LONGEST_PREFIX = 30


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


def _resources(sources: Sequence[str]) -> list[Json]:
    """Return the account; a prefix of one or two addresses is as many rules, as it takes none."""
    networks = map(IPv4Network, sources)
    values = [
        str(one)
        for network in networks
        for one in (network if network.prefixlen > _LONGEST_PREFIX else [network])
    ]
    return [account([{"value": value, "action": "Allow"} for value in values])]


CASE = resources_case("orders", _resources)

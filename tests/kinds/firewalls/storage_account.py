"""Test data of the firewall kind *storage account*."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from tests.kinds.case import HOST, Json, build_resource, build_resources_case

_LONGEST_PREFIX = 30


def build_account(
    rules: Sequence[Json] = (), location: str = "eastus", **properties: object
) -> Json:
    """Return a storage account that denies other addresses.

    By default, it is not in the flows' region.
    """
    return build_resource(
        "Microsoft.Storage/storageAccounts",
        "orders",
        properties={
            "primaryEndpoints": {"blob": f"https://{HOST}/", "table": "https://t.example/"},
            "networkAcls": {"defaultAction": "Deny", "ipRules": [*rules]},
            **properties,
        },
        location=location,
    )


def _build_resources(sources: Sequence[str]) -> list[Json]:
    """Return the storage account.

    Its rules have single addresses in place of prefixes of one or two addresses.
    """
    networks = map(IPv4Network, sources)
    values = [
        str(one)
        for network in networks
        for one in (network if network.prefixlen > _LONGEST_PREFIX else [network])
    ]
    return [build_account([{"value": value, "action": "Allow"} for value in values])]


CASE = build_resources_case("orders", "storage account network-rule add", _build_resources)

"""Serve Cosmos DB accounts as seeded, and evaluate their IP rules."""

from collections.abc import Iterator

from local_cloud.tenant.azure.addresses import EVERY_ADDRESS, Ranges, parse_ranges
from local_cloud.tenant.azure.ip_rules import AZURE, find_resources_at, is_off
from local_cloud.tenant.azure.providers import ResourceProvider
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure

ACCOUNTS = "Microsoft.DocumentDB/databaseAccounts"


def find_firewalls(azure: Azure, host: str, _: str) -> Iterator[tuple[str, Ranges]]:
    for account in find_resources_at(azure, host, ACCOUNTS, "documentEndpoint"):
        yield account["id"], _list_ranges(account)


def _list_ranges(account: JsonObject) -> Ranges:
    properties = account["properties"]
    rules = [rule["ipAddressOrRange"] for rule in properties.get("ipRules") or ()]
    if is_off(properties):
        return ()
    is_open = not rules and not properties.get("isVirtualNetworkFilterEnabled")
    return EVERY_ADDRESS if is_open or AZURE in rules else parse_ranges(rules)


PROVIDER = ResourceProvider(
    readable={("cosmos_accounts", "cosmos_account"): ACCOUNTS}, find_firewalls=find_firewalls
)

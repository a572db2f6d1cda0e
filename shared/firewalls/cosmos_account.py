"""Reads the IP rules of Cosmos DB accounts: with a rule, or a network filter, others are out."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.ip_rules import restricted, service
from shared.ports import ResourceReader

API_VERSION = "2024-05-15"
OPENED_BY = "An account's IP rules take IPv4 prefixes, no service tags."


class CosmosAccounts:
    """Implements `FirewallKind`."""

    kind = "cosmos_account"
    resource_type = "Microsoft.DocumentDB/databaseAccounts"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every account, open ones too: they claim their hosts."""
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [read_account(one) for one in listed]


def read_account(account: Mapping[str, object]) -> Firewall:
    """Return an account with its rules; each location has a host of its own."""
    properties = mapping_at(account, "properties")
    locations = properties.get("locations")
    endpoints = [properties.get("documentEndpoint")] + [
        as_mapping(one).get("documentEndpoint")
        for one in (locations if isinstance(locations, list) else ())
    ]
    rules, is_filtered = properties.get("ipRules"), properties.get("isVirtualNetworkFilterEnabled")
    return restricted(
        service(CosmosAccounts.kind, account, endpoints, OPENED_BY),
        properties.get("publicNetworkAccess"),
        "Deny" if rules or is_filtered else "Allow",
        rules,
    )

"""Reads the IP rules of Cosmos DB accounts: with a rule, or a network filter, others are out."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import FirewallFix, describe_added_prefixes
from shared.domain.network.firewall_fix_text import ResourceIdParts, az, bicep_part, terraform_part
from shared.domain.network.firewall_issue import FirewallIssue
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

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        """Return its list with the rules more: every tool writes it as a whole."""
        account = await self._resources.get(gap.resource_id, API_VERSION)
        there = objects_at(mapping_at(account, "properties"), "ipRules")
        new = [{"ipAddressOrRange": prefix} for prefix in gap.missing_prefixes]
        listed = [*there, *new]
        addresses = [str(rule["ipAddressOrRange"]) for rule in listed]
        options = ResourceIdParts.of(gap.resource_id).options
        return FirewallFix(
            gap=gap.name,
            summary=describe_added_prefixes(gap),
            azure_cli=az(
                "cosmosdb update",
                {**options, "name": gap.resource_name, "ip-range-filter": ",".join(addresses)},
            ),
            bicep=bicep_part(
                f"{self.resource_type}@{API_VERSION}", gap.resource_name, {"ipRules": listed}
            ),
            terraform=terraform_part(
                "azurerm_cosmosdb_account", gap.resource_name, ("ip_range_filter", addresses)
            ),
        )


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

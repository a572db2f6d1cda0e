"""Read the IP rules of Cosmos DB accounts.

If an account has a rule or a network filter, all other addresses are denied.
"""

from collections.abc import Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import FirewallFix, describe_added_prefixes
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    format_az_command,
    format_bicep_part,
    format_terraform_part,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import build_firewall_with_ip_rules, build_open_firewall
from shared.firewalls.azure_resources import AzureResources

API_VERSION = "2024-05-15"
OPENED_BY = "An account's IP rules accept IPv4 prefixes, but no service tags."


class CosmosAccounts(AzureResources):
    """The firewall kind of Cosmos DB."""

    kind = "cosmos_account"
    resource_type = "Microsoft.DocumentDB/databaseAccounts"

    async def read(self) -> list[Firewall]:
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [parse_cosmos_account(one) for one in listed]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        """Return a fix with the complete list of rules, because Azure CLI, Bicep and Terraform
        replace the whole list.
        """
        account = await self._resources.get(issue.resource_id, API_VERSION)
        there = objects_at(mapping_at(account, "properties"), "ipRules")
        new = [{"ipAddressOrRange": prefix} for prefix in issue.missing_prefixes]
        listed = [*there, *new]
        addresses = [str(rule["ipAddressOrRange"]) for rule in listed]
        options = ResourceIdParts.parse(issue.resource_id).options
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_az_command(
                "cosmosdb update",
                {**options, "name": issue.resource_name, "ip-range-filter": ",".join(addresses)},
            ),
            bicep=format_bicep_part(
                f"{self.resource_type}@{API_VERSION}", issue.resource_name, {"ipRules": listed}
            ),
            terraform=format_terraform_part(
                "azurerm_cosmosdb_account", issue.resource_name, ("ip_range_filter", addresses)
            ),
        )


def parse_cosmos_account(account: Mapping[str, object]) -> Firewall:
    """Return the firewall of an account. Each location of the account has its own host."""
    properties = mapping_at(account, "properties")
    locations = properties.get("locations")
    endpoints = [properties.get("documentEndpoint")] + [
        as_mapping(one).get("documentEndpoint")
        for one in (locations if isinstance(locations, list) else ())
    ]
    rules, is_filtered = properties.get("ipRules"), properties.get("isVirtualNetworkFilterEnabled")
    return build_firewall_with_ip_rules(
        build_open_firewall(CosmosAccounts.kind, account, endpoints, OPENED_BY),
        properties.get("publicNetworkAccess"),
        "Deny" if rules or is_filtered else "Allow",
        rules,
    )

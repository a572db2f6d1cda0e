"""Read the IP rules of storage accounts.

They do not apply to requests from the account's own region (Microsoft: *Configure Azure Storage
firewalls*), so it is uncertain whether the account denies flows there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network

from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.firewall_fix import (
    FirewallFix,
    describe_added_prefixes,
    explain_full_list,
)
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    format_az_command,
    format_bicep_part,
    format_terraform_part,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import AZURE, build_firewall_with_ip_rules, build_open_firewall
from shared.firewalls.azure_resources import AzureResources

_LONGEST_PREFIX = 30
API_VERSION = "2023-05-01"
MAX_RULES = 400
OPENED_BY = (
    f"An account accepts at most {MAX_RULES} IP rules, which are IPv4 prefixes up to /30 or single "
    "addresses, and no service tags. They do not apply to callers in the account's own region."
)


class StorageAccounts(AzureResources):
    """The firewall kind of storage accounts."""

    kind = "storage_account"
    resource_type = "Microsoft.Storage/storageAccounts"

    async def read(self) -> list[Firewall]:
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [parse_storage_account(one) for one in listed]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        account = await self._resources.get(issue.resource_id, API_VERSION)
        rules = mapping_at(account, "properties", "networkAcls")
        there, new = (
            objects_at(rules, "ipRules"),
            [*_list_accepted_addresses(issue.missing_prefixes)],
        )
        if no_fix_reason := explain_full_list(issue, len(there), len(new), MAX_RULES):
            return no_fix_reason
        listed = [*there, *({"value": address, "action": "Allow"} for address in new)]
        block = TerraformBlock(
            "network_rules",
            body=[
                ("default_action", rules.get("defaultAction")),
                ("ip_rules", [rule["value"] for rule in listed]),
                "bypass, virtual_network_subnet_ids, private_link_access: unchanged",
            ],
        )
        options = ResourceIdParts.parse(issue.resource_id).options
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_az_command(
                "storage account network-rule add",
                {**options, "account-name": issue.resource_name, "ip-address": new},
            ),
            bicep=format_bicep_part(
                f"{self.resource_type}@{API_VERSION}",
                issue.resource_name,
                {"networkAcls": {**rules, "ipRules": listed}},
            ),
            terraform=format_terraform_part("azurerm_storage_account", issue.resource_name, block),
            notes=("The rules do not apply to flows that run in the account's own region.",),
        )


def _list_accepted_addresses(prefixes: Iterable[str]) -> Iterator[str]:
    for prefix in prefixes:
        network = IPv4Network(prefix)
        yield from map(str, network) if network.prefixlen > _LONGEST_PREFIX else (prefix,)


def parse_storage_account(account: Mapping[str, object]) -> Firewall:
    """Return the firewall of a storage account."""
    properties = mapping_at(account, "properties")
    rules = mapping_at(properties, "networkAcls")
    endpoints = [
        *mapping_at(properties, "primaryEndpoints").values(),
        *mapping_at(properties, "secondaryEndpoints").values(),
    ]
    firewall = build_firewall_with_ip_rules(
        build_open_firewall(StorageAccounts.kind, account, endpoints, OPENED_BY),
        properties.get("publicNetworkAccess"),
        rules.get("defaultAction"),
        rules.get("ipRules"),
    )
    region = (text_at(account, "location") or "").replace(" ", "").lower()
    if not firewall.rules or firewall.default is not RuleAction.DENY or not region:
        return firewall
    own = FirewallRule(
        name=f"rules do not apply to callers in {region}",
        action=RuleAction.DENY,
        sources=(f"{AZURE}.{region}",),
        is_certain=False,
    )
    return replace(firewall, rules=(own, *firewall.rules))

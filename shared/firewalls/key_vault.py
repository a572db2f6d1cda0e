"""Read the IP rules of key vaults."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.network.firewall import Firewall
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
from shared.domain.network.ip_rules import build_firewall_with_ip_rules, build_open_firewall
from shared.firewalls.azure_resources import AzureResources

API_VERSION = "2026-02-01"
MAX_RULES = 1000
OPENED_BY = (
    f"A vault accepts at most {MAX_RULES:,} IP rules, which are IPv4 prefixes and no service tags."
)


class KeyVaults(AzureResources):
    """The firewall kind of key vaults."""

    kind = "key_vault"
    resource_type = "Microsoft.KeyVault/vaults"

    async def read(self) -> list[Firewall]:
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [parse_vault(one) for one in listed]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        vault = await self._resources.get(issue.resource_id, API_VERSION)
        rules = mapping_at(vault, "properties", "networkAcls")
        there, name = objects_at(rules, "ipRules"), issue.resource_name
        if no_fix_reason := explain_full_list(
            issue, len(there), len(issue.missing_prefixes), MAX_RULES
        ):
            return no_fix_reason
        listed = [*there, *({"value": prefix} for prefix in issue.missing_prefixes)]
        block = TerraformBlock(
            "network_acls",
            body=[
                ("bypass", rules.get("bypass", "AzureServices")),
                ("default_action", rules.get("defaultAction")),
                ("ip_rules", [rule["value"] for rule in listed]),
                "virtual_network_subnet_ids: unchanged",
            ],
        )
        options = ResourceIdParts.parse(issue.resource_id).options
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_az_command(
                "keyvault network-rule add",
                {**options, "name": name, "ip-address": issue.missing_prefixes},
            ),
            bicep=format_bicep_part(
                f"{self.resource_type}@{API_VERSION}",
                name,
                {"networkAcls": {**rules, "ipRules": listed}},
            ),
            terraform=format_terraform_part("azurerm_key_vault", name, block),
        )


def parse_vault(vault: Mapping[str, object]) -> Firewall:
    """Return the firewall of a vault."""
    properties = mapping_at(vault, "properties")
    rules = mapping_at(properties, "networkAcls")
    return build_firewall_with_ip_rules(
        build_open_firewall(KeyVaults.kind, vault, [properties.get("vaultUri")], OPENED_BY),
        properties.get("publicNetworkAccess"),
        rules.get("defaultAction"),
        rules.get("ipRules"),
    )

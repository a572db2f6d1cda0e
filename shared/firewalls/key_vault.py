"""Reads the IP rules of key vaults."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import (
    FirewallFix,
    describe_added_prefixes,
    no_fix_list_full,
)
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    az,
    bicep_part,
    terraform_part,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import restricted, service
from shared.ports import ResourceReader

API_VERSION = "2026-02-01"
MOST = 1000
OPENED_BY = f"A vault's IP rules take IPv4 prefixes, no service tags; at most {MOST:,}."


class KeyVaults:
    """Implements `FirewallKind`."""

    kind = "key_vault"
    resource_type = "Microsoft.KeyVault/vaults"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every vault, open ones too: they claim their hosts."""
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [read_vault(one) for one in listed]

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        """Return the rules that its list gets more."""
        vault = await self._resources.get(gap.resource_id, API_VERSION)
        rules = mapping_at(vault, "properties", "networkAcls")
        there, name = objects_at(rules, "ipRules"), gap.resource_name
        if refusal := no_fix_list_full(gap, len(there), len(gap.missing_prefixes), MOST):
            return refusal
        listed = [*there, *({"value": prefix} for prefix in gap.missing_prefixes)]
        block = TerraformBlock(
            "network_acls",
            body=[
                ("bypass", rules.get("bypass", "AzureServices")),
                ("default_action", rules.get("defaultAction")),
                ("ip_rules", [rule["value"] for rule in listed]),
                "virtual_network_subnet_ids: as they are",
            ],
        )
        options = ResourceIdParts.of(gap.resource_id).options
        return FirewallFix(
            gap=gap.name,
            summary=describe_added_prefixes(gap),
            azure_cli=az(
                "keyvault network-rule add",
                {**options, "name": name, "ip-address": gap.missing_prefixes},
            ),
            bicep=bicep_part(
                f"{self.resource_type}@{API_VERSION}",
                name,
                {"networkAcls": {**rules, "ipRules": listed}},
            ),
            terraform=terraform_part("azurerm_key_vault", name, block),
        )


def read_vault(vault: Mapping[str, object]) -> Firewall:
    """Return a vault with its rules."""
    properties = mapping_at(vault, "properties")
    rules = mapping_at(properties, "networkAcls")
    return restricted(
        service(KeyVaults.kind, vault, [properties.get("vaultUri")], OPENED_BY),
        properties.get("publicNetworkAccess"),
        rules.get("defaultAction"),
        rules.get("ipRules"),
    )

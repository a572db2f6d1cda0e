"""Reads the IP rules of storage accounts.

They have no effect on callers in the account's own region, which come from private addresses
(Microsoft: *Configure Azure Storage firewalls*): whether such a flow gets in cannot be told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network

from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
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
from shared.domain.network.ip_rules import AZURE, restricted, service
from shared.ports import ResourceReader

_LONGEST_PREFIX = 30
API_VERSION = "2023-05-01"
MOST = 400
OPENED_BY = (
    "An account's IP rules take IPv4 prefixes up to /30 and single addresses, no service tags; at"
    f" most {MOST}. They do not reach callers of the account's own region."
)


class StorageAccounts:
    """Implements `FirewallKind`."""

    kind = "storage_account"
    resource_type = "Microsoft.Storage/storageAccounts"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every account, open ones too: they claim their hosts."""
        listed = await self._resources.list(self.resource_type, API_VERSION)
        return [read_account(one) for one in listed]

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        """Return the rules that its list gets more; of one or two addresses it takes no prefix."""
        account = await self._resources.get(gap.resource_id, API_VERSION)
        rules = mapping_at(account, "properties", "networkAcls")
        there, new = objects_at(rules, "ipRules"), [*_as_it_takes_them(gap.missing_prefixes)]
        if refusal := no_fix_list_full(gap, len(there), len(new), MOST):
            return refusal
        listed = [*there, *({"value": address, "action": "Allow"} for address in new)]
        block = TerraformBlock(
            "network_rules",
            body=[
                ("default_action", rules.get("defaultAction")),
                ("ip_rules", [rule["value"] for rule in listed]),
                "bypass, virtual_network_subnet_ids, private_link_access: as they are",
            ],
        )
        options = ResourceIdParts.of(gap.resource_id).options
        return FirewallFix(
            gap=gap.name,
            summary=describe_added_prefixes(gap),
            azure_cli=az(
                "storage account network-rule add",
                {**options, "account-name": gap.resource_name, "ip-address": new},
            ),
            bicep=bicep_part(
                f"{self.resource_type}@{API_VERSION}",
                gap.resource_name,
                {"networkAcls": {**rules, "ipRules": listed}},
            ),
            terraform=terraform_part("azurerm_storage_account", gap.resource_name, block),
            notes=("The rules do not reach flows that run in the account's own region.",),
        )


def _as_it_takes_them(prefixes: Iterable[str]) -> Iterator[str]:
    for prefix in prefixes:
        network = IPv4Network(prefix)
        yield from map(str, network) if network.prefixlen > _LONGEST_PREFIX else (prefix,)


def read_account(account: Mapping[str, object]) -> Firewall:
    """Return an account with its rules."""
    properties = mapping_at(account, "properties")
    rules = mapping_at(properties, "networkAcls")
    endpoints = [
        *mapping_at(properties, "primaryEndpoints").values(),
        *mapping_at(properties, "secondaryEndpoints").values(),
    ]
    firewall = restricted(
        service(StorageAccounts.kind, account, endpoints, OPENED_BY),
        properties.get("publicNetworkAccess"),
        rules.get("defaultAction"),
        rules.get("ipRules"),
    )
    region = (text_at(account, "location") or "").replace(" ", "").lower()
    if not firewall.rules or firewall.default is not RuleAction.DENY or not region:
        return firewall
    own = FirewallRule(
        name=f"rules do not reach callers in {region}",
        action=RuleAction.DENY,
        sources=(f"{AZURE}.{region}",),
        is_certain=False,
    )
    return replace(firewall, rules=(own, *firewall.rules))

"""Reads the IP rules of storage accounts.

They have no effect on callers in the account's own region, which come from private addresses
(Microsoft: *Configure Azure Storage firewalls*): whether such a flow gets in cannot be told.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.network.firewall import Access, Firewall, FirewallRule
from shared.domain.network.ip_rules import AZURE, restricted, service
from shared.ports import ResourceReader

API_VERSION = "2023-05-01"
OPENED_BY = (
    "An account's IP rules take IPv4 prefixes up to /30 and single addresses, no service tags; at"
    " most 400. They do not reach callers of the account's own region."
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
    if not firewall.rules or firewall.default is not Access.DENY or not region:
        return firewall
    own = FirewallRule(
        name=f"rules do not reach callers in {region}",
        access=Access.DENY,
        sources=(f"{AZURE}.{region}",),
        is_certain=False,
    )
    return replace(firewall, rules=(own, *firewall.rules))

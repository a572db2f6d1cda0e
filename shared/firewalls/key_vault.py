"""Reads the IP rules of key vaults."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.ip_rules import restricted, service
from shared.ports import ResourceReader

API_VERSION = "2023-07-01"
OPENED_BY = "A vault's IP rules take IPv4 prefixes, no service tags; at most 1,000."


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

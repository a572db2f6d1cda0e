"""Reads the IP rules of Event Hubs namespaces."""

from shared.domain.network.firewall import Firewall
from shared.domain.network.ip_rules import namespace
from shared.errors import NotFound
from shared.ports import ResourceReader

API_VERSION = "2024-01-01"


class EventHubsNamespaces:
    """Implements `FirewallKind`."""

    kind = "event_hubs_namespace"
    resource_type = "Microsoft.EventHub/namespaces"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every namespace, open ones too: they claim their hosts."""
        found: list[Firewall] = []
        for one in await self._resources.list(self.resource_type, API_VERSION):
            try:
                rules = await self._resources.get(
                    str(one.get("id")), API_VERSION, "/networkRuleSets/default"
                )
            except NotFound:
                continue  # deleted since it was listed
            found.append(namespace(self.kind, one, rules))
        return found

"""Reads the firewall rules of Azure SQL servers; those of a single database are not seen."""

from shared.domain.definitions.json_values import mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.ip_rules import database_server
from shared.errors import NotFound
from shared.ports import ResourceReader

API_VERSION = "2021-11-01"


class SqlServers:
    """Implements `FirewallKind`."""

    kind = "sql_server"
    resource_type = "Microsoft.Sql/servers"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every server."""
        found: list[Firewall] = []
        for server in await self._resources.list(self.resource_type, API_VERSION):
            server_id = str(server.get("id"))
            try:
                rules = await self._resources.below(server_id, "firewallRules", API_VERSION)
            except NotFound:
                continue  # deleted since it was listed
            access = mapping_at(server, "properties").get("publicNetworkAccess")
            found.append(database_server(self.kind, server, rules, access))
        return found

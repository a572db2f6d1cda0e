"""Reads the firewall rules of Azure Database for PostgreSQL: flexible servers, and single ones."""

from shared.domain.definitions.json_values import mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.ip_rules import database_server
from shared.errors import NotFound
from shared.ports import ResourceReader


class PostgresqlServers:
    """Implements `FirewallKind`."""

    kind = "postgresql_server"
    resource_type = "Microsoft.DBforPostgreSQL/flexibleServers"
    #: Each type with the version of the API that has it.
    _types = ((resource_type, "2022-12-01"), ("Microsoft.DBforPostgreSQL/servers", "2017-12-01"))

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every server."""
        found: list[Firewall] = []
        for resource_type, version in self._types:
            for server in await self._resources.list(resource_type, version):
                server_id = str(server.get("id"))
                try:
                    rules = await self._resources.below(server_id, "firewallRules", version)
                except NotFound:
                    continue  # deleted since it was listed
                properties = mapping_at(server, "properties")
                network = mapping_at(properties, "network") or properties
                access = network.get("publicNetworkAccess")
                found.append(database_server(self.kind, server, rules, access))
        return found

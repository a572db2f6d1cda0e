"""Read the firewall rules of Azure Database for PostgreSQL: flexible and single servers."""

from collections.abc import Mapping, Sequence
from functools import partial

from shared.domain.definitions.json_values import mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import FirewallFix, describe_added_prefixes
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import build_database_server_firewall
from shared.domain.network.range_rules import (
    format_range_blocks,
    format_range_children,
    format_range_commands,
)
from shared.firewalls.azure_resources import AzureResources, read_children_of_each


class PostgresqlServers(AzureResources):
    """The firewall kind of Azure Database for PostgreSQL."""

    kind = "postgresql_server"
    resource_type = "Microsoft.DBforPostgreSQL/flexibleServers"
    #: Each resource type with its API version.
    _types = ((resource_type, "2022-12-01"), ("Microsoft.DBforPostgreSQL/servers", "2017-12-01"))

    async def read(self) -> list[Firewall]:
        found: list[Firewall] = []
        for resource_type, version in self._types:
            listed = await self._resources.list(resource_type, version)
            rules_of = partial(self._read_rules, version)
            for server, rules in await read_children_of_each(listed, rules_of):
                properties = mapping_at(server, "properties")
                network = mapping_at(properties, "network") or properties
                access = network.get("publicNetworkAccess")
                found.append(build_database_server_firewall(self.kind, server, rules, access))
        return found

    async def _read_rules(self, version: str, server_id: str) -> Sequence[Mapping[str, object]]:
        return await self._resources.list_children(server_id, "firewallRules", version)

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        is_flexible = "/flexibleservers/" in issue.resource_id.lower()
        resource_type, version = self._types[0 if is_flexible else 1]
        word = "flexible-server" if is_flexible else "server"
        terraform_type = f"azurerm_postgresql_{word.replace('-', '_')}_firewall_rule"
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_range_commands(
                f"postgres {word} firewall-rule create", "server-name", issue
            ),
            bicep=format_range_children(f"{resource_type}/firewallRules@{version}", issue),
            terraform=format_range_blocks(terraform_type, issue),
        )

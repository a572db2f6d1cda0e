"""Read the firewall rules of Azure SQL servers. Rules of individual databases are not read."""

from collections.abc import Mapping, Sequence

from shared.domain.definitions.json_values import mapping_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import (
    FirewallFix,
    describe_added_prefixes,
    explain_full_list,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import build_database_server_firewall
from shared.domain.network.range_rules import (
    format_range_blocks,
    format_range_children,
    format_range_commands,
    list_missing_ranges,
)
from shared.firewalls.azure_resources import AzureResources, read_children_of_each

API_VERSION = "2021-11-01"
#: Most rules of a server.
MAX_RULES = 256


class SqlServers(AzureResources):
    """The firewall kind of Azure SQL."""

    kind = "sql_server"
    resource_type = "Microsoft.Sql/servers"

    async def read(self) -> list[Firewall]:
        listed = await self._resources.list(self.resource_type, API_VERSION)
        found: list[Firewall] = []
        for server, rules in await read_children_of_each(listed, self._read_rules):
            access = mapping_at(server, "properties").get("publicNetworkAccess")
            found.append(build_database_server_firewall(self.kind, server, rules, access))
        return found

    async def _read_rules(self, server_id: str) -> Sequence[Mapping[str, object]]:
        return await self._resources.list_children(server_id, "firewallRules", API_VERSION)

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        there = await self._read_rules(issue.resource_id)
        return explain_full_list(
            issue, len(there), len([*list_missing_ranges(issue)]), MAX_RULES
        ) or FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_range_commands("sql server firewall-rule create", "server", issue),
            bicep=format_range_children(f"{self.resource_type}/firewallRules@{API_VERSION}", issue),
            terraform=format_range_blocks("azurerm_mssql_firewall_rule", issue),
        )

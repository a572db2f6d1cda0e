"""Test data of the firewall kind *Azure SQL server*."""

from tests.kinds.server_resources import ServerResources

RESOURCES = ServerResources("Microsoft.Sql/servers")
CASE = RESOURCES.build_case("sql server firewall-rule create")

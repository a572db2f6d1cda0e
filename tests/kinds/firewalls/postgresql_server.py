"""Test data of the firewall kind *PostgreSQL server*."""

from tests.kinds.server_resources import ServerResources

RESOURCES = ServerResources("Microsoft.DBforPostgreSQL/flexibleServers")
CASE = RESOURCES.build_case("postgres flexible-server firewall-rule create")

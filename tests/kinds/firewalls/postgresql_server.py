"""Test data of the firewall kind *PostgreSQL server*."""

from collections.abc import Sequence
from ipaddress import ip_network

from tests.kinds.case import HOST, Json, build_resource, build_resources_case

_TYPE = "Microsoft.DBforPostgreSQL/flexibleServers"


def build_server(**properties: object) -> Json:
    return build_resource(
        _TYPE, "orders-db", properties={"fullyQualifiedDomainName": HOST.upper(), **properties}
    )


def build_rule(name: str, first: str, last: str) -> Json:
    properties = {"startIpAddress": first, "endIpAddress": last}
    return build_resource(f"{_TYPE}/firewallRules", "orders-db", name, properties=properties)


def _build_resources(sources: Sequence[str]) -> list[Json]:
    networks = map(ip_network, sources)
    rules = [build_rule(f"r{n}", str(one[0]), str(one[-1])) for n, one in enumerate(networks)]
    return [build_server(), *rules]


CASE = build_resources_case(
    "orders-db", "postgres flexible-server firewall-rule create", _build_resources
)

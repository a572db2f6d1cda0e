"""An Azure SQL server whose firewall rules allow some ranges."""

from collections.abc import Sequence
from ipaddress import ip_network

from tests.kinds.case import HOST, Json, resource, resources_case

_TYPE = "Microsoft.Sql/servers"


def server(**properties: object) -> Json:
    """Return the server."""
    return resource(
        _TYPE, "orders-db", properties={"fullyQualifiedDomainName": HOST.upper(), **properties}
    )


def rule(name: str, first: str, last: str) -> Json:
    """Return a rule of the server."""
    properties = {"startIpAddress": first, "endIpAddress": last}
    return resource(f"{_TYPE}/firewallRules", "orders-db", name, properties=properties)


def _resources(sources: Sequence[str]) -> list[Json]:
    networks = map(ip_network, sources)
    rules = [rule(f"r{n}", str(one[0]), str(one[-1])) for n, one in enumerate(networks)]
    return [server(), *rules]


CASE = resources_case("orders-db", _resources)

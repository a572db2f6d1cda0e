"""Build database servers of Azure SQL and PostgreSQL, whose resources have the same shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from tests.kinds.case import HOST, FirewallCase, Json, build_resource, build_resources_case


@dataclass(frozen=True, slots=True)
class ServerResources:
    resource_type: str

    def build_server(self, **properties: object) -> Json:
        shown = {"fullyQualifiedDomainName": HOST.upper(), **properties}
        return build_resource(self.resource_type, "orders-db", properties=shown)

    def build_rule(self, name: str, first: str, last: str) -> Json:
        return build_resource(
            f"{self.resource_type}/firewallRules",
            "orders-db",
            name,
            properties={"startIpAddress": first, "endIpAddress": last},
        )

    def build_case(self, command: str) -> FirewallCase:
        def build_resources(sources: Sequence[str]) -> list[Json]:
            networks = enumerate(map(ip_network, sources))
            rules = [self.build_rule(f"r{n}", str(one[0]), str(one[-1])) for n, one in networks]
            return [self.build_server(), *rules]

        return build_resources_case("orders-db", command, build_resources)

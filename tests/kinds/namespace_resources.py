"""Build namespaces of Event Hubs and Service Bus, whose resources have the same shape."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.kinds.case import HOST, FirewallCase, Json, build_resource, build_resources_case


@dataclass(frozen=True, slots=True)
class NamespaceResources:
    resource_type: str

    def build_namespace(self) -> Json:
        properties = {"serviceBusEndpoint": f"https://{HOST}:443/"}
        return build_resource(self.resource_type, "orders-ns", properties=properties)

    def build_rule_set(self, *addresses: str, default: str = "Deny", **properties: object) -> Json:
        return build_resource(
            f"{self.resource_type}/networkRuleSets",
            "orders-ns",
            "default",
            properties={
                "publicNetworkAccess": "Enabled",
                "defaultAction": default,
                "virtualNetworkRules": [],
                "ipRules": [{"ipMask": one, "action": "Allow"} for one in addresses],
                **properties,
            },
        )

    def build_case(self, command: str) -> FirewallCase:
        def build_resources(sources: Sequence[str]) -> list[Json]:
            return [self.build_namespace(), self.build_rule_set(*sources)]

        return build_resources_case("orders-ns", command, build_resources)

"""Test data of the firewall kind *Service Bus namespace*."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, build_resource, build_resources_case

_TYPE = "Microsoft.ServiceBus/namespaces"


def build_namespace() -> Json:
    properties = {"serviceBusEndpoint": f"https://{HOST}:443/"}
    return build_resource(_TYPE, "orders-ns", properties=properties)


def build_rule_set(*addresses: str, default: str = "Deny", **properties: object) -> Json:
    return build_resource(
        f"{_TYPE}/networkRuleSets",
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


def _build_resources(sources: Sequence[str]) -> list[Json]:
    return [build_namespace(), build_rule_set(*sources)]


CASE = build_resources_case(
    "orders-ns", "servicebus namespace network-rule-set ip-rule add", _build_resources
)

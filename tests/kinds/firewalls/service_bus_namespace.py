"""A Service Bus namespace whose rule set allows some prefixes."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, resource, resources_case

_TYPE = "Microsoft.ServiceBus/namespaces"


def namespace() -> Json:
    """Return the namespace."""
    properties = {"serviceBusEndpoint": f"https://{HOST}:443/"}
    return resource(_TYPE, "orders-ns", properties=properties)


def rule_set(*addresses: str, default: str = "Deny", **properties: object) -> Json:
    """Return the rules of the namespace."""
    return resource(
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


def _resources(sources: Sequence[str]) -> list[Json]:
    return [namespace(), rule_set(*sources)]


CASE = resources_case("orders-ns", _resources)

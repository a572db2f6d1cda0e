"""Test data of the firewall kind *Azure Firewall*."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, build_resource, build_resources_case

ADDRESS = "203.0.113.10"
_POLICIES = "Microsoft.Network/firewallPolicies"


def build_nat_rule(name: str, *sources: str, **properties: object) -> Json:
    return {
        "ruleType": "NatRule",
        "name": name,
        "ipProtocols": ["TCP"],
        "sourceAddresses": [*sources],
        "sourceIpGroups": [],
        "destinationAddresses": [ADDRESS],
        "destinationPorts": ["443"],
        "translatedAddress": "10.0.1.4",
        "translatedPort": "8443",
        **properties,
    }


def build_network_rule(name: str, *sources: str, **properties: object) -> Json:
    return {
        "ruleType": "NetworkRule",
        "name": name,
        "ipProtocols": ["TCP"],
        "sourceAddresses": [*sources],
        "destinationAddresses": ["10.0.2.0/24"],
        "destinationPorts": ["443"],
        **properties,
    }


def build_collection(name: str, priority: int, *rules: Json, action: str = "Allow") -> Json:
    """Return a collection of DNAT rules if the action is `Dnat`, otherwise of filter rules."""
    is_nat = action == "Dnat"
    kind = "FirewallPolicyNatRuleCollection" if is_nat else "FirewallPolicyFilterRuleCollection"
    return {
        "ruleCollectionType": kind,
        "name": name,
        "priority": priority,
        "action": {"type": action},
        "rules": [*rules],
    }


def build_group(policy: str, name: str, priority: int, *collections: Json) -> Json:
    properties = {"priority": priority, "ruleCollections": [*collections]}
    return build_resource(f"{_POLICIES}/ruleCollectionGroups", policy, name, properties=properties)


def build_policy(name: str = "edge-policy", **properties: object) -> Json:
    return build_resource(_POLICIES, name, properties=properties)


def build_firewall(**properties: object) -> Json:
    """Return a firewall with one public address, by default with a firewall policy."""
    configuration = {
        "privateIPAddress": "10.0.0.4",
        "publicIPAddress": {"id": build_public_address()["id"]},
    }
    return build_resource(
        "Microsoft.Network/azureFirewalls",
        "edge",
        properties={
            "ipConfigurations": [{"name": "public", "properties": configuration}],
            "firewallPolicy": {"id": build_policy()["id"].upper()},
            **properties,
        },
    )


def build_public_address() -> Json:
    """Return the firewall's public address, with the DNS name that callers use."""
    properties = {"ipAddress": ADDRESS, "dnsSettings": {"fqdn": HOST.title()}}
    return build_resource("Microsoft.Network/publicIPAddresses", "edge-ip", properties=properties)


def build_ip_group(name: str, *addresses: str) -> Json:
    properties = {"ipAddresses": [*addresses]}
    return build_resource(
        "Microsoft.Network/ipGroups", name, properties=properties, etag='W/"first"'
    )


def _build_resources(sources: Sequence[str]) -> list[Json]:
    members = build_ip_group("flows", *sources)
    rule = build_nat_rule("flows", sourceIpGroups=[members["id"]])
    nat = build_collection("published", 100, rule, action="Dnat")
    return [
        build_firewall(),
        build_policy(),
        build_group("edge-policy", "inbound", 200, nat),
        members,
        build_public_address(),
    ]


CASE = build_resources_case(f"edge → {ADDRESS}", "resource update", _build_resources)

"""Test data of the firewall kind *network security group*."""

from collections.abc import Mapping, Sequence

from tests.kinds.case import HOST, FirewallCase, Json


def build_security_rule(name: str, priority: int, **properties: object) -> Json:
    """Return a security rule. By default, it allows HTTPS from anywhere."""
    return {
        "name": name,
        "properties": {
            "protocol": "Tcp",
            "sourcePortRange": "*",
            "destinationPortRange": "443",
            "sourceAddressPrefix": "*",
            "destinationAddressPrefix": "*",
            "access": "Allow",
            "priority": priority,
            "direction": "Inbound",
            **properties,
        },
    }


def build_security_group(*rules: Json, tags: Json | None = None) -> Json:
    return {
        "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"
        "/networkSecurityGroups/edge",
        "name": "edge",
        "type": "Microsoft.Network/networkSecurityGroups",
        "etag": 'W/"first"',
        "tags": tags or {},
        "properties": {
            "securityRules": list(rules),
            "defaultSecurityRules": [
                build_security_rule(
                    "AllowVnetInBound", 65000, sourceAddressPrefix="VirtualNetwork"
                ),
                build_security_rule("DenyAllInBound", 65500, access="Deny"),
            ],
        },
    }


def _build_rules(tags: Sequence[str]) -> list[Json]:
    return [
        build_security_rule(tag, priority, sourceAddressPrefix=tag)
        for priority, tag in enumerate(tags, start=100)
    ]


def _build_resources(tags: Sequence[str]) -> Mapping[str, Json]:
    group = build_security_group(*_build_rules(tags))
    return {group["id"]: group}


CASE = FirewallCase(
    name="edge",
    command="network nsg rule create",
    resources=_build_resources,
    seed=lambda tags: {
        "networkSecurityGroups": [
            {
                "id": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg"
                "/providers/Microsoft.Network/networkSecurityGroups/edge",
                "securityRules": _build_rules(tags),
                "guards": {HOST: "10.0.1.4"},
            }
        ]
    },
)

"""Rules of network security groups that the app makes: what they are, and how people write them."""

import json
from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    az,
    label,
    placed,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.matching import HTTPS

#: Members of a rule that the app makes.
_WRITTEN = (
    "access",
    "direction",
    "priority",
    "protocol",
    "sourceAddressPrefix",
    "sourcePortRange",
    "destinationPortRange",
    "destinationAddressPrefix",
    "destinationApplicationSecurityGroups",
)


def rule_for(tag: str, priority: int, destination: str) -> Mapping[str, object]:
    """Return a rule that lets HTTPS of a service tag in; no destination: to all."""
    is_group = "/" in destination and not destination[:1].isdecimal()
    towards: dict[str, object] = (
        {"destinationApplicationSecurityGroups": [{"id": placed(destination)}]}
        if is_group
        else {"destinationAddressPrefix": destination or "*"}
    )
    return {
        "access": "Allow",
        "direction": "Inbound",
        "priority": priority,
        "protocol": "Tcp",
        "sourceAddressPrefix": tag,
        "sourcePortRange": "*",
        "destinationPortRange": str(HTTPS),
        **towards,
    }


def rule_to_json(name: str, rule: Mapping[str, object]) -> str:
    """Return a rule as JSON, in the members that the app writes."""
    own = {member: rule[member] for member in _WRITTEN if rule.get(member)}
    return json.dumps({"name": name, **own}, sort_keys=True)


def existing_rule_to_json(rule: Mapping[str, object]) -> str:
    """Return a rule of a group in the same form."""
    return rule_to_json(str(rule.get("name")), mapping_at(rule, "properties"))


def command(gap: FirewallIssue, name: str, rule: Mapping[str, object]) -> str:
    """Return the command of the Azure CLI that makes a rule."""
    groups = [group["id"] for group in objects_at(rule, "destinationApplicationSecurityGroups")]
    return az(
        "network nsg rule create",
        {
            **ResourceIdParts.of(gap.resource_id).options,
            "nsg-name": gap.resource_name,
            "name": name,
            "priority": rule["priority"],
            "direction": rule["direction"],
            "access": rule["access"],
            "protocol": rule["protocol"],
            "source-address-prefixes": rule["sourceAddressPrefix"],
            "source-port-ranges": rule["sourcePortRange"],
            "destination-port-ranges": rule["destinationPortRange"],
        },
        ("destination-asgs", groups)
        if groups
        else ("destination-address-prefixes", rule["destinationAddressPrefix"]),
    )


def block(gap: FirewallIssue, name: str, rule: Mapping[str, object]) -> TerraformBlock:
    """Return the Terraform of a rule."""
    groups = [group["id"] for group in objects_at(rule, "destinationApplicationSecurityGroups")]
    return TerraformBlock(
        "resource",
        ("azurerm_network_security_rule", label(name)),
        [
            ("resource_group_name", ResourceIdParts.of(gap.resource_id).group),
            ("network_security_group_name", gap.resource_name),
            ("name", name),
            ("priority", rule["priority"]),
            ("direction", rule["direction"]),
            ("access", rule["access"]),
            ("protocol", rule["protocol"]),
            ("source_address_prefix", rule["sourceAddressPrefix"]),
            ("source_port_range", rule["sourcePortRange"]),
            ("destination_port_range", rule["destinationPortRange"]),
            ("destination_application_security_group_ids", groups)
            if groups
            else ("destination_address_prefix", rule["destinationAddressPrefix"]),
        ],
    )

"""Format the rules that fixes add to network security groups."""

import json
from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    fill_id_placeholders,
    format_az_command,
    format_identifier,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.matching import HTTPS

#: Members of a rule that the app writes.
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


def build_security_rule(tag: str, priority: int, destination: str) -> Mapping[str, object]:
    """Return a rule that allows HTTPS from a service tag to a destination; "" is every
    destination.
    """
    is_group = "/" in destination and not destination[:1].isdecimal()
    towards: dict[str, object] = (
        {"destinationApplicationSecurityGroups": [{"id": fill_id_placeholders(destination)}]}
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


def format_security_rule(name: str, rule: Mapping[str, object]) -> str:
    """Return a rule as JSON, with only the members that the app writes."""
    own = {member: rule[member] for member in _WRITTEN if rule.get(member)}
    return json.dumps({"name": name, **own}, sort_keys=True)


def format_existing_security_rule(rule: Mapping[str, object]) -> str:
    """Return an existing rule of a group in the format of `format_security_rule`."""
    return format_security_rule(str(rule.get("name")), mapping_at(rule, "properties"))


def format_create_rule_command(issue: FirewallIssue, name: str, rule: Mapping[str, object]) -> str:
    """Return the Azure CLI command that creates a rule."""
    groups = [group["id"] for group in objects_at(rule, "destinationApplicationSecurityGroups")]
    return format_az_command(
        "network nsg rule create",
        {
            **ResourceIdParts.parse(issue.resource_id).options,
            "nsg-name": issue.resource_name,
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


def build_terraform_block(
    issue: FirewallIssue, name: str, rule: Mapping[str, object]
) -> TerraformBlock:
    """Return a rule in Terraform."""
    groups = [group["id"] for group in objects_at(rule, "destinationApplicationSecurityGroups")]
    return TerraformBlock(
        "resource",
        ("azurerm_network_security_rule", format_identifier(name)),
        [
            ("resource_group_name", ResourceIdParts.parse(issue.resource_id).group),
            ("network_security_group_name", issue.resource_name),
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

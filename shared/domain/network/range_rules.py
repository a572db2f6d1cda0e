"""Format the firewall rules of database servers. Each has a name, a first and a last address."""

from collections.abc import Iterator

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_fix import PREFIX
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    fill_id_placeholders,
    format_az_command,
    format_bicep_children,
    format_identifier,
    format_terraform,
)
from shared.domain.network.firewall_issue import FirewallIssue


def list_missing_ranges(issue: FirewallIssue) -> Iterator[tuple[str, str, str]]:
    """Yield the name, first and last address of each rule that the fix has to add."""
    for first, last in AddressRanges.parse(issue.missing_prefixes).list_ends():
        yield f"{PREFIX}{first.replace('.', '-')}", first, last


def format_range_commands(command: str, server: str, issue: FirewallIssue) -> str:
    """Return an Azure CLI command for each rule that the fix adds.

    `server` is the option for the server's name.
    """
    options = {**ResourceIdParts.parse(issue.resource_id).options, server: issue.resource_name}
    return "\n".join(
        format_az_command(
            command, {**options, "name": name, "start-ip-address": first, "end-ip-address": last}
        )
        for name, first, last in list_missing_ranges(issue)
    )


def format_range_children(kind: str, issue: FirewallIssue) -> str:
    """Return the rules that the fix adds, in Bicep. `kind` is their type and version."""
    rules = {
        name: {"startIpAddress": first, "endIpAddress": last}
        for name, first, last in list_missing_ranges(issue)
    }
    return format_bicep_children(kind, issue.resource_name, rules)


def format_range_blocks(resource: str, issue: FirewallIssue) -> str:
    """Return the rules that the fix adds, in Terraform."""
    if "flexible" in resource or "mssql" in resource:
        owner: tuple[tuple[str, object], ...] = (
            ("server_id", fill_id_placeholders(issue.resource_id)),
        )
    else:
        group = ResourceIdParts.parse(issue.resource_id).group
        owner = (("resource_group_name", group), ("server_name", issue.resource_name))
    return format_terraform(
        *(
            TerraformBlock(
                "resource",
                (resource, format_identifier(name)),
                [
                    ("name", name),
                    *owner,
                    ("start_ip_address", first),
                    ("end_ip_address", last),
                ],
            )
            for name, first, last in list_missing_ranges(issue)
        )
    )

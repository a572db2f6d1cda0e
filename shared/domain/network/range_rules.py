"""Rules of database servers: each a name, a first and a last address, and a resource by itself."""

from collections.abc import Iterator

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_fix import PREFIX
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    az,
    bicep_children,
    label,
    placed,
    terraform,
)
from shared.domain.network.firewall_issue import FirewallIssue


def ranges(gap: FirewallIssue) -> Iterator[tuple[str, str, str]]:
    """Yield name, first and last address of each rule that a server lacks."""
    for first, last in AddressRanges.of(gap.missing_prefixes).ends():
        yield f"{PREFIX}{first.replace('.', '-')}", first, last


def range_commands(command: str, server: str, gap: FirewallIssue) -> str:
    """Return a command of the Azure CLI for each rule; `server` is what it calls the server."""
    options = {**ResourceIdParts.of(gap.resource_id).options, server: gap.resource_name}
    return "\n".join(
        az(command, {**options, "name": name, "start-ip-address": first, "end-ip-address": last})
        for name, first, last in ranges(gap)
    )


def range_children(kind: str, gap: FirewallIssue) -> str:
    """Return Bicep for the rules; `kind` is their type and version."""
    rules = {
        name: {"startIpAddress": first, "endIpAddress": last} for name, first, last in ranges(gap)
    }
    return bicep_children(kind, gap.resource_name, rules)


def range_blocks(resource: str, gap: FirewallIssue) -> str:
    """Return Terraform for the rules."""
    if "flexible" in resource or "mssql" in resource:
        owner: tuple[tuple[str, object], ...] = (("server_id", placed(gap.resource_id)),)
    else:
        group = ResourceIdParts.of(gap.resource_id).group
        owner = (("resource_group_name", group), ("server_name", gap.resource_name))
    return terraform(
        *(
            TerraformBlock(
                "resource",
                (resource, label(name)),
                [
                    ("name", name),
                    *owner,
                    ("start_ip_address", first),
                    ("end_ip_address", last),
                ],
            )
            for name, first, last in ranges(gap)
        )
    )

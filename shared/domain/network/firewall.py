"""Define a firewall for the network check: a list of rules for inbound sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

#: The tag of a resource that lists the hosts behind it (docs/network.md).
HOSTS_TAG = "cmkflow-hosts"


class RuleAction(StrEnum):
    """Whether a rule allows or denies the sources that it matches."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    name: str
    action: RuleAction
    #: Address prefixes (`20.61.88.128/26`), service tags (`PowerPlatformPlex.WestEurope`), `*`.
    sources: tuple[str, ...]
    #: False: it matches only part of a source's traffic (a destination, source ports, headers), so
    #: that it decides nothing alone.
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """A firewall in front of hosts that flows may call."""

    #: Its firewall kind, named after a file of `shared/firewalls/`: `network_security_group`,
    #: `app_service`.
    kind: str
    #: Azure resource id, and after `#` the part of the resource.
    id: str
    name: str
    #: Lower-case names of the hosts that it protects; empty: unknown.
    hosts: frozenset[str]
    #: Inbound rules for HTTPS; the first match decides.
    rules: tuple[FirewallRule, ...]
    #: The action for a source that no rule matches.
    default: RuleAction
    #: A further firewall on the same path, which has to allow a source too.
    behind: "Firewall | None" = None
    #: True: the protected hosts have no IPv6 address, so that no IPv6 address can be missing.
    is_ipv4_only: bool = False
    #: How addresses are allowed if no rule can name a service tag; empty: by the tag.
    how_to_open: str = ""
    #: Subnets whose traffic passes through it.
    protects: tuple[str, ...] = ()
    #: Public access is off: no rule allows any source.
    denies_all_public_access: bool = False


def build_unread_rules(name: str, text: object) -> tuple[FirewallRule, FirewallRule]:
    """Return two rules in place of unreadable rules, which may allow or deny any source."""
    allow, deny = (
        FirewallRule(name=name, action=access, sources=(str(text),)) for access in RuleAction
    )
    return allow, deny


def list_tagged_hosts(tags: Mapping[str, object]) -> frozenset[str]:
    """Return the hosts that a resource's tag `HOSTS_TAG` lists.

    Azure ignores the case of tag names.
    """
    listed = next((tags[name] for name in tags if name.lower() == HOSTS_TAG), "")
    hosts = (host.strip().lower() for host in str(listed).replace(";", ",").split(","))
    return frozenset(host for host in hosts if host)


def parse_public_address(resource: Mapping[str, object]) -> tuple[str, frozenset[str]]:
    """Return the IP address of a `Microsoft.Network/publicIPAddresses` resource, and its host
    names.
    """
    properties = mapping_at(resource, "properties")
    address = text_at(properties, "ipAddress") or ""
    name = text_at(mapping_at(properties, "dnsSettings"), "fqdn") or ""
    names = {one.lower() for one in (address, name) if one}
    return address, list_tagged_hosts(as_mapping(resource.get("tags"))) | names

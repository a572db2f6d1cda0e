"""A firewall as the network check reads it: ordered rules about inbound sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

#: Tag of a resource that lists the hosts behind it (docs/network.md).
HOSTS_TAG = "cmkflow-hosts"


class RuleAction(StrEnum):
    """What a rule does with a source that it matches."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """One rule, in the order in which the firewall applies it."""

    name: str
    action: RuleAction
    #: Address prefixes (`20.61.88.128/26`), service tags (`PowerPlatformPlex.WestEurope`), `*`.
    sources: tuple[str, ...]
    #: False: it matches only part of a source's traffic (a destination, source ports, headers),
    #: so that it settles nothing by itself.
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """One firewall in front of systems that flows may call."""

    #: Which file of `shared/firewalls/` read it: `network_security_group`, `app_service`.
    kind: str
    #: Azure resource id, and behind `#` which part of the resource.
    id: str
    name: str
    #: Lower-case host names it stands before; empty: not known.
    hosts: frozenset[str]
    #: Inbound rules for HTTPS, first match decides.
    rules: tuple[FirewallRule, ...]
    #: What happens to a source that no rule matches.
    default: RuleAction
    #: What has to let a source in too: rules that come after these, on the same way.
    behind: "Firewall | None" = None
    #: True: what it stands before has no IPv6 address, so that nothing of IPv6 can be missing.
    is_ipv4_only: bool = False
    #: How addresses are let in where no rule can name a service tag; empty: by the tag.
    how_to_open: str = ""
    #: Subnets that send their packets through it.
    protects: tuple[str, ...] = ()
    #: Public access is off as a whole: no rule lets anybody in.
    denies_all_public_access: bool = False


def unread_rules(name: str, text: object) -> tuple[FirewallRule, FirewallRule]:
    """Return rules for a list of rules that is not written out: it may let in or refuse anybody."""
    allow, deny = (
        FirewallRule(name=name, action=access, sources=(str(text),)) for access in RuleAction
    )
    return allow, deny


def tagged_hosts(tags: Mapping[str, object]) -> frozenset[str]:
    """Return the hosts that the tags of a resource list; tag names have no case in Azure."""
    listed = next((tags[name] for name in tags if name.lower() == HOSTS_TAG), "")
    hosts = (host.strip().lower() for host in str(listed).replace(";", ",").split(","))
    return frozenset(host for host in hosts if host)


def public_address(resource: Mapping[str, object]) -> tuple[str, frozenset[str]]:
    """Return the address of a `Microsoft.Network/publicIPAddresses`, and what it is called by."""
    properties = mapping_at(resource, "properties")
    address = text_at(properties, "ipAddress") or ""
    name = text_at(mapping_at(properties, "dnsSettings"), "fqdn") or ""
    names = {one.lower() for one in (address, name) if one}
    return address, tagged_hosts(as_mapping(resource.get("tags"))) | names

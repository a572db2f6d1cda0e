"""A firewall as the network check reads it: ordered rules about inbound sources."""

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """What a rule does with a source that it matches."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """One rule, in the order in which the firewall applies it."""

    name: str
    access: Access
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
    #: Azure resource id.
    id: str
    name: str
    #: Lower-case host names it stands before; empty: not known.
    hosts: frozenset[str]
    #: Inbound rules for HTTPS, first match decides.
    rules: tuple[FirewallRule, ...]
    #: What happens to a source that no rule matches.
    default: Access

"""Summarize what a firewall does with a service tag, for IPv4 and for IPv6."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.network.address_ranges import IPV4, IPV6, AddressRanges
from shared.domain.network.firewall_decision import (
    DEFAULT_RULE,
    FirewallDecision,
    list_rules_affecting,
)


class Verdict(StrEnum):
    """Whether a firewall allows the addresses of a tag."""

    ALLOWED = "allowed"
    PARTLY_ALLOWED = "partly_allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagVerdict:
    """Whether one firewall allows one tag, and what it denies."""

    verdict: Verdict
    #: By `ipv4` and `ipv6`, for the versions in which the tag has addresses.
    by_version: Mapping[str, Verdict]
    #: What is denied, or may be.
    missing_prefixes: tuple[str, ...]
    #: The rules that deny it or leave it uncertain; None: all is allowed.
    message: str | None


_REASONS_WITHOUT_ADDRESSES = {
    Verdict.ALLOWED: None,
    Verdict.DENIED: f"refused_by: {DEFAULT_RULE}",
    Verdict.UNKNOWN: "no_ipv4: the service tag list has no IPv4 addresses of it",
}


def check_firewall(admission: FirewallDecision, asked: AddressRanges) -> TagVerdict:
    """Return whether a firewall allows the addresses of a tag, and what it denies."""
    verdict = compute_verdict(admission, asked)
    if admission.has_no_reaching_address(asked):
        return TagVerdict(
            verdict=verdict,
            by_version={"ipv4": verdict},
            missing_prefixes=(),
            message=_REASONS_WITHOUT_ADDRESSES[verdict],
        )
    asked = admission.find_reaching_addresses(asked)
    missing = asked - admission.allowed
    versions = {"ipv4": asked & IPV4, "ipv6": asked & IPV6}
    return TagVerdict(
        verdict=verdict,
        by_version={
            name: compute_verdict(admission, part) for name, part in versions.items() if part
        },
        missing_prefixes=missing.list_prefixes(),
        message=_explain_denial(admission, missing),
    )


def compute_verdict(admission: FirewallDecision, asked: AddressRanges) -> Verdict:
    """Return whether a firewall allows these addresses.

    If none of them can reach the firewall, the real ones are unknown. The verdict is then certain
    only if the firewall allows all of IPv4, or denies all of it.
    """
    if admission.has_no_reaching_address(asked):
        if not IPV4 - admission.allowed:
            return Verdict.ALLOWED
        return Verdict.UNKNOWN if IPV4 - admission.denied else Verdict.DENIED
    asked = admission.find_reaching_addresses(asked)
    if asked <= admission.allowed:
        return Verdict.ALLOWED
    if not asked & admission.denied:
        return Verdict.UNKNOWN
    if asked & admission.allowed:
        return Verdict.PARTLY_ALLOWED
    return Verdict.UNKNOWN if asked & admission.doubtful else Verdict.DENIED


def _explain_denial(admission: FirewallDecision, missing: AddressRanges) -> str | None:
    if denied := missing & admission.denied:
        rules = list_rules_affecting(admission.denied_by, denied)
        return f"refused_by: {', '.join(dict.fromkeys(rules))}"
    if missing:
        rules = list_rules_affecting(admission.doubted_for, missing)
        return f"depends_on: {', '.join(dict.fromkeys(rules))}"
    return None

"""What a firewall does with a service tag, in one word and in prefixes, each IP version apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.network.address_ranges import IPV4, IPV6, AddressRanges
from shared.domain.network.firewall_decision import DEFAULT_RULE, FirewallDecision, rules_affecting


class Verdict(StrEnum):
    """Whether the addresses of a tag are let in."""

    ALLOWED = "allowed"
    PARTLY_ALLOWED = "partly_allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagVerdict:
    """The verdict on one firewall and one tag."""

    verdict: Verdict
    #: By `ipv4` and `ipv6`, those versions in which the tag has addresses.
    by_version: Mapping[str, Verdict]
    #: What is refused, or may be.
    missing: tuple[str, ...]
    #: Which rules refuse it or leave it open; None: covered.
    reason: str | None


_REASONS_WITHOUT_ADDRESSES = {
    Verdict.ALLOWED: None,
    Verdict.DENIED: f"refused_by: {DEFAULT_RULE}",
    Verdict.UNKNOWN: "no_ipv4: the list of service tags has no IPv4 addresses of it",
}


def check_firewall(admission: FirewallDecision, asked: AddressRanges) -> TagVerdict:
    """Return what a firewall does with the addresses of a tag."""
    verdict = verdict_on(admission, asked)
    if admission.is_without_addresses(asked):
        return TagVerdict(
            verdict=verdict,
            by_version={"ipv4": verdict},
            missing=(),
            reason=_REASONS_WITHOUT_ADDRESSES[verdict],
        )
    asked = admission.counting(asked)
    missing = asked - admission.allowed
    versions = {"ipv4": asked & IPV4, "ipv6": asked & IPV6}
    return TagVerdict(
        verdict=verdict,
        by_version={name: verdict_on(admission, part) for name, part in versions.items() if part},
        missing=missing.prefixes(),
        reason=_reason(admission, missing),
    )


def verdict_on(admission: FirewallDecision, asked: AddressRanges) -> Verdict:
    """Return what becomes of these addresses.

    Where none of them can meet the firewall, which do is not known: it lets everybody in, nobody,
    or it cannot be told.
    """
    if admission.is_without_addresses(asked):
        if not IPV4 - admission.allowed:
            return Verdict.ALLOWED
        return Verdict.UNKNOWN if IPV4 - admission.denied else Verdict.DENIED
    asked = admission.counting(asked)
    if asked <= admission.allowed:
        return Verdict.ALLOWED
    if not asked & admission.denied:
        return Verdict.UNKNOWN
    if asked & admission.allowed:
        return Verdict.PARTLY_ALLOWED
    return Verdict.UNKNOWN if asked & admission.doubtful else Verdict.DENIED


def _reason(admission: FirewallDecision, missing: AddressRanges) -> str | None:
    if refused := missing & admission.denied:
        rules = rules_affecting(admission.denied_by, refused)
        return f"refused_by: {', '.join(dict.fromkeys(rules))}"
    if missing:
        rules = rules_affecting(admission.doubted_for, missing)
        return f"depends_on: {', '.join(dict.fromkeys(rules))}"
    return None

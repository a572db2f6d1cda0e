"""What a firewall does with a service tag, in one word and in prefixes, each IP version apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.network.address_ranges import IPV4, AddressRanges
from shared.domain.network.admission import Admission, ServiceTagRanges, admit
from shared.domain.network.firewall import Firewall


class Verdict(StrEnum):
    """Whether the addresses of a tag are let in."""

    COVERED = "covered"
    PARTLY = "partly"
    NOT = "not"
    CANNOT_BE_TOLD = "cannot_be_told"


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


def judge(firewall: Firewall, tag: str, tags: ServiceTagRanges) -> TagVerdict:
    """Return what a firewall does with a tag, `PowerPlatformPlex` or one of a region."""
    ranges = tags.addresses(tag)
    if ranges is None:
        return TagVerdict(
            verdict=Verdict.CANNOT_BE_TOLD,
            by_version={},
            missing=(),
            reason=f"unknown_tag: the list of service tags does not hold {tag}",
        )
    if firewall.is_ipv4_only:
        ranges &= IPV4
    admission = admit(firewall, {tag: ranges}, tags)
    versions = {"ipv4": ranges & IPV4, "ipv6": ranges - IPV4}
    return TagVerdict(
        verdict=_verdict(admission, ranges),
        by_version={name: _verdict(admission, part) for name, part in versions.items() if part},
        missing=(admission.denied | admission.doubtful).prefixes(),
        reason=_reason(admission),
    )


def _verdict(admission: Admission, ranges: AddressRanges) -> Verdict:
    denied, doubtful = admission.denied & ranges, admission.doubtful & ranges
    if not denied and not doubtful:
        return Verdict.COVERED
    if not denied:
        return Verdict.CANNOT_BE_TOLD
    if admission.allowed & ranges:
        return Verdict.PARTLY
    return Verdict.CANNOT_BE_TOLD if doubtful else Verdict.NOT


def _reason(admission: Admission) -> str | None:
    if admission.denied:
        return f"refused_by: {', '.join(dict.fromkeys(admission.denied_by))}"
    if admission.doubtful:
        return f"depends_on: {', '.join(dict.fromkeys(admission.doubted_for))}"
    return None

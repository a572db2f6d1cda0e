from collections.abc import Collection, Mapping, Sequence

from shared.domain.network.address_ranges import AddressRanges, unite_ranges
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.domain.network.verdict import TagVerdict, check_firewall

type Prefixes = Mapping[str, Sequence[str]]


def build_tag_list(prefixes: Prefixes) -> ServiceTagList:
    return ServiceTagList(
        ServiceTag(name=name, prefixes=tuple(listed)) for name, listed in prefixes.items()
    )


def find_required_issues(
    firewalls: Sequence[Firewall],
    geography: str,
    hosts: Collection[str | None],
    tags: ServiceTagList,
    also_required: Collection[str] = (),
) -> list[FirewallIssue]:
    """Return the required firewall issues for flows of a geography that call these hosts."""
    found = NetworkCheck(firewalls, geography, tags, also_required).find_issues(hosts)
    return [gap for gap in found if gap.is_required]


def judge_tag(firewall: Firewall, tag: str, tags: ServiceTagList) -> TagVerdict:
    asked = tags.find_addresses(tag)
    assert asked is not None
    return check_firewall(
        evaluate_rules(firewall, RuleSources(tags, [tag.partition(".")[0]])), asked
    )


def find_uncovered_prefixes(
    firewall: Firewall, required: Prefixes, tags: Prefixes
) -> tuple[str, ...]:
    """Return the required prefixes that the firewall does not certainly allow."""
    bases = sorted({name.partition(".")[0] for name in required})
    admission = evaluate_rules(firewall, RuleSources(build_tag_list({**required, **tags}), bases))
    asked = unite_ranges(AddressRanges.parse(listed) for listed in required.values())
    return (asked - admission.allowed).list_prefixes()

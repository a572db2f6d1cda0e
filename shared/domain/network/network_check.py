"""Whether the firewalls in front of a flow's targets let its copy through.

After a customer-managed key is applied, HTTP actions come from the addresses of the service tag
`PowerPlatformPlex` (platform.md#plex-tag). All regions of the
environment's geography count, wherever the target is (platform.md#geography-tags). Microsoft's page
on IP addresses asks for two tags more (platform.md#three-tags): they are told beside it, or
required by a setting.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.domain.network.address_ranges import AddressRanges, union
from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.network.firewall_decision import (
    FirewallDecision,
    RuleSources,
    evaluate_rules,
    tag_names_covering,
)
from shared.domain.network.firewall_issue import (
    FirewallIssue,
    find_firewall_issue,
    issue_for_external_host,
    issue_for_unknown_geography,
    issue_for_unknown_tag,
)
from shared.domain.network.geographies import canonical, regions_of
from shared.domain.network.host_matching import ClaimedHosts, HostMatcher
from shared.domain.network.service_tags import ServiceTagList

#: The tag of the infrastructure under a customer-managed key.
PROTECTED_TAG = "PowerPlatformPlex"
#: The tags that Microsoft's page on IP addresses asks for beside it.
TAGS_BESIDE = ("LogicApps", "PowerPlatformInfra")
#: Tags of flow traffic: a firewall that admits any of them was configured for flows
#: (platform.md#plex-tag).
FLOW_TAGS = ("AzureConnectors", *TAGS_BESIDE, PROTECTED_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    """What the rules of a firewall do; many firewalls have the same ones."""

    admission: FirewallDecision
    #: It lets flows of the geography in. So the document words it: "If the firewall was previously
    #: configured to allow flow HTTP actions, it's likely that the configuration needs to be
    #: updated".
    is_for_flows: bool


type _Gap = tuple[Firewall, _Walked, FirewallIssue]
type _Rules = tuple[object, ...]


class NetworkCheck:
    """What firewalls do with the flows of one geography."""

    def __init__(
        self,
        firewalls: Sequence[Firewall],
        geography: str,
        tags: ServiceTagList,
        also_required: Collection[str] = (),
    ) -> None:
        """Walk the rules of each firewall once: what is asked afterwards compares sets.

        `also_required` are those of `TAGS_BESIDE` without which there is a gap too.
        """
        listed = {tag: regions_of(geography, tags.regions(tag)) for tag in FLOW_TAGS}
        by_tag = {tag: _regional(tag, regions) for tag, regions in listed.items()}
        required = [PROTECTED_TAG, *also_required]
        beside = [tag for tag in TAGS_BESIDE if tag not in required]
        self._unknown = list(_unknown(by_tag, required, geography, tags))
        self._required = _known(by_tag, required, tags)
        self._beside = _known(by_tag, beside, tags)
        self._claimed = ClaimedHosts(firewalls)
        of_flows = union(_known(by_tag, FLOW_TAGS, tags).values())
        sources, called = RuleSources(tags, FLOW_TAGS), _called(listed.values())
        walked: dict[_Rules, _Walked] = {}
        self._walked: list[tuple[Firewall, _Walked]] = []
        for firewall in firewalls:
            rules = _rules_of(firewall)
            if rules not in walked:
                walked[rules] = _walk(firewall, evaluate_rules(firewall, sources), of_flows, called)
            self._walked.append((firewall, walked[rules]))

    def gaps(self, hosts: Collection[str | None]) -> list[FirewallIssue]:
        """Return what stands in the way of a flow that calls these hosts, then what is told beside.

        What cannot be told is a gap that is not certain.
        """
        calls = HostMatcher(hosts, self._claimed)
        if not calls.may_be_refused:
            return []
        found = (
            gap
            for firewall, walked, gap in (*self._gaps_of_required, *self._gaps_beside)
            if calls.meet(firewall, is_for_flows=walked.is_for_flows)
        )
        return [*self._unknown, *found]

    def lacking(self) -> list[FirewallIssue]:
        """Return what is required and missing anywhere, whomever it concerns."""
        return [*self._unknown, *(gap for _, _, gap in self._gaps_of_required)]

    def concerns(self, firewall_id: str, hosts: Collection[str | None]) -> bool:
        """Say whether a flow that calls these hosts goes, or may go, through a firewall."""
        calls = HostMatcher(hosts, self._claimed)
        return calls.may_be_refused and any(
            calls.meet(firewall, is_for_flows=walked.is_for_flows)
            for firewall, walked in self._walked
            if firewall.id.lower() == firewall_id.lower()
        )

    @cached_property
    def _gaps_of_required(self) -> list[_Gap]:
        return list(self._gaps_of(self._required, is_required=True))

    @cached_property
    def _gaps_beside(self) -> list[_Gap]:
        return list(self._gaps_of(self._beside, is_required=False))

    def _gaps_of(self, tags: Mapping[str, AddressRanges], *, is_required: bool) -> Iterator[_Gap]:
        """Yield each firewall that lacks something of these tags."""
        complete: set[int] = set()
        for firewall, walked in self._walked:
            if id(walked) in complete:
                continue
            if gap := find_firewall_issue(
                firewall, walked.admission, tags, is_required=is_required
            ):
                yield firewall, walked, gap
            else:  # so it is for all with these rules
                complete.add(id(walked))

    def external_targets(self, flows_by_host: Mapping[str, Sequence[str]]) -> list[FirewallIssue]:
        """Return the hosts that no firewall is known to stand before, with the flows' names."""
        hosts = self._claimed.unchecked(flows_by_host)
        return [
            issue_for_external_host(host, flows_by_host[host], self._required) for host in hosts
        ]


def _regional(tag: str, regions: Iterable[str]) -> list[str]:
    return [f"{tag}.{region}" for region in regions]


def _called(regions: Iterable[Iterable[str]]) -> set[str]:
    """Return all that a rule may call the tags of flows in these regions."""
    everywhere = {region for found in regions for region in found}
    regional = (name for tag in FLOW_TAGS for name in _regional(tag, everywhere))
    return {called for name in regional for called in tag_names_covering(name)}


def _rules_of(firewall: Firewall) -> _Rules:
    """Return what an admission is made of."""
    beyond = _rules_of(firewall.behind) if firewall.behind else ()
    return (firewall.rules, firewall.default, firewall.is_ipv4_only, beyond)


def _walk(
    firewall: Firewall, admission: FirewallDecision, of_flows: AddressRanges, called: Container[str]
) -> _Walked:
    names_them = any(
        source.strip().lower() in called
        for rule in firewall.rules
        if rule.action is RuleAction.ALLOW
        for source in rule.sources
    )
    lets_in = bool(admission.allowed & admission.counting(of_flows))
    return _Walked(admission=admission, is_for_flows=names_them or lets_in)


def _known(
    by_tag: Mapping[str, Sequence[str]], tags: Iterable[str], listed: ServiceTagList
) -> dict[str, AddressRanges]:
    wanted = (name for tag in tags for name in by_tag[tag])
    return {name: found for name in wanted if (found := listed.addresses(name)) is not None}


def _unknown(
    by_tag: Mapping[str, Sequence[str]],
    required: Iterable[str],
    geography: str,
    listed: ServiceTagList,
) -> Iterable[FirewallIssue]:
    """Yield what the check itself does not know, for every tag that is required."""
    for tag in required:
        if not listed.regions(tag):
            yield issue_for_unknown_tag(tag)
        elif not by_tag[tag]:
            yield issue_for_unknown_geography(canonical(geography), tag)
        yield from (
            issue_for_unknown_tag(name) for name in by_tag[tag] if listed.addresses(name) is None
        )

"""Check whether the firewalls in front of the hosts that a flow calls allow its copy.

After a customer-managed key is applied, HTTP actions send from the addresses of the service tag
`PowerPlatformPlex` (platform.md#plex-tag). All regions of the environment's geography count,
wherever the host is (platform.md#geography-tags). Microsoft's page on IP addresses names two more
tags (platform.md#three-tags): they are reported, or required by a setting.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.domain.network.address_ranges import AddressRanges, unite_ranges
from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.network.firewall_decision import (
    FirewallDecision,
    RuleSources,
    evaluate_rules,
    list_tag_names_covering,
)
from shared.domain.network.firewall_issue import (
    FirewallIssue,
    build_issue_for_external_host,
    build_issue_for_unknown_geography,
    build_issue_for_unknown_tag,
    find_firewall_issue,
)
from shared.domain.network.geographies import list_regions_of_geography, normalize_geography
from shared.domain.network.host_matching import ClaimedHosts, HostMatcher
from shared.domain.network.service_tags import ServiceTagList

#: The service tag of flows with a customer-managed key.
PROTECTED_TAG = "PowerPlatformPlex"
#: The tags that Microsoft's page on IP addresses names in addition.
TAGS_BESIDE = ("LogicApps", "PowerPlatformInfra")
#: Tags of flow traffic: a firewall that allows any of them was configured for flows
#: (platform.md#plex-tag).
FLOW_TAGS = ("AzureConnectors", *TAGS_BESIDE, PROTECTED_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EvaluatedRules:
    """The evaluated rules of a firewall. Many firewalls may share them."""

    admission: FirewallDecision
    #: Whether it allows flows of the geography. Microsoft's document says: "If the firewall was
    #: previously configured to allow flow HTTP actions, it's likely that the configuration needs to
    #: be updated".
    is_for_flows: bool


type _Issue = tuple[Firewall, _EvaluatedRules, FirewallIssue]
type _Rules = tuple[object, ...]


class NetworkCheck:
    """Checks whether the firewalls allow the flows of one geography."""

    def __init__(
        self,
        firewalls: Sequence[Firewall],
        geography: str,
        tags: ServiceTagList,
        also_required: Collection[str] = (),
    ) -> None:
        """Evaluate each firewall's rules once, so that later questions only compare sets.

        `also_required` are those of `TAGS_BESIDE` that firewalls must allow too.
        """
        listed = {
            tag: list_regions_of_geography(geography, tags.list_regions(tag)) for tag in FLOW_TAGS
        }
        by_tag = {tag: _list_regional_tags(tag, regions) for tag, regions in listed.items()}
        required = [PROTECTED_TAG, *also_required]
        beside = [tag for tag in TAGS_BESIDE if tag not in required]
        self._unknown_issues = list(
            _list_issues_without_addresses(by_tag, required, geography, tags)
        )
        self._required = _find_known_ranges(by_tag, required, tags)
        self._beside = _find_known_ranges(by_tag, beside, tags)
        self._claimed = ClaimedHosts(firewalls)
        of_flows = unite_ranges(_find_known_ranges(by_tag, FLOW_TAGS, tags).values())
        sources, called = RuleSources(tags, FLOW_TAGS), _list_covering_names(listed.values())
        evaluated: dict[_Rules, _EvaluatedRules] = {}
        self._evaluated: list[tuple[Firewall, _EvaluatedRules]] = []
        for firewall in firewalls:
            rules = _build_rules_key(firewall)
            if rules not in evaluated:
                evaluated[rules] = _build_evaluated_rules(
                    firewall, evaluate_rules(firewall, sources), of_flows, called
                )
            self._evaluated.append((firewall, evaluated[rules]))

    def find_issues(self, hosts: Collection[str | None]) -> list[FirewallIssue]:
        """Return the issues of a flow that calls these hosts. Issues with required tags come first.

        If the result for a firewall is unknown, its issue is not certain.
        """
        calls = HostMatcher(hosts, self._claimed)
        if not calls.may_be_refused:
            return []
        found = (
            issue
            for firewall, evaluated, issue in (*self._required_issues, *self._additional_issues)
            if calls.may_pass_through(firewall, is_for_flows=evaluated.is_for_flows)
        )
        return [*self._unknown_issues, *found]

    def find_required_issues(self) -> list[FirewallIssue]:
        """Return every issue with a required tag, whichever flows it affects."""
        return [*self._unknown_issues, *(issue for _, _, issue in self._required_issues)]

    def may_pass_through(self, firewall_id: str, hosts: Collection[str | None]) -> bool:
        """Return whether the calls by a flow pass, or may pass, through a firewall."""
        calls = HostMatcher(hosts, self._claimed)
        return calls.may_be_refused and any(
            calls.may_pass_through(firewall, is_for_flows=evaluated.is_for_flows)
            for firewall, evaluated in self._evaluated
            if firewall.id.lower() == firewall_id.lower()
        )

    @cached_property
    def _required_issues(self) -> list[_Issue]:
        return list(self._find_issues(self._required, is_required=True))

    @cached_property
    def _additional_issues(self) -> list[_Issue]:
        return list(self._find_issues(self._beside, is_required=False))

    def _find_issues(
        self, tags: Mapping[str, AddressRanges], *, is_required: bool
    ) -> Iterator[_Issue]:
        complete: set[int] = set()
        for firewall, evaluated in self._evaluated:
            if id(evaluated) in complete:
                continue
            if issue := find_firewall_issue(
                firewall, evaluated.admission, tags, is_required=is_required
            ):
                yield firewall, evaluated, issue
            else:  # the same holds for all firewalls with these rules
                complete.add(id(evaluated))

    def find_external_host_issues(
        self, flows_by_host: Mapping[str, Sequence[str]]
    ) -> list[FirewallIssue]:
        """Return an issue for each host that no known firewall protects. It names flows that call
        the host.
        """
        hosts = self._claimed.list_unchecked_hosts(flows_by_host)
        return [
            build_issue_for_external_host(host, flows_by_host[host], self._required)
            for host in hosts
        ]


def _list_regional_tags(tag: str, regions: Iterable[str]) -> list[str]:
    return [f"{tag}.{region}" for region in regions]


def _list_covering_names(regions: Iterable[Iterable[str]]) -> set[str]:
    everywhere = {region for found in regions for region in found}
    regional = (name for tag in FLOW_TAGS for name in _list_regional_tags(tag, everywhere))
    return {called for name in regional for called in list_tag_names_covering(name)}


def _build_rules_key(firewall: Firewall) -> _Rules:
    """Return what two firewalls must have in common to share their evaluated rules."""
    beyond = _build_rules_key(firewall.behind) if firewall.behind else ()
    return (firewall.rules, firewall.default, firewall.is_ipv4_only, beyond)


def _build_evaluated_rules(
    firewall: Firewall, admission: FirewallDecision, of_flows: AddressRanges, called: Container[str]
) -> _EvaluatedRules:
    names_them = any(
        source.strip().lower() in called
        for rule in firewall.rules
        if rule.action is RuleAction.ALLOW
        for source in rule.sources
    )
    lets_in = bool(admission.allowed & admission.find_reaching_addresses(of_flows))
    return _EvaluatedRules(admission=admission, is_for_flows=names_them or lets_in)


def _find_known_ranges(
    by_tag: Mapping[str, Sequence[str]], tags: Iterable[str], listed: ServiceTagList
) -> dict[str, AddressRanges]:
    wanted = (name for tag in tags for name in by_tag[tag])
    return {name: found for name in wanted if (found := listed.find_addresses(name)) is not None}


def _list_issues_without_addresses(
    by_tag: Mapping[str, Sequence[str]],
    required: Iterable[str],
    geography: str,
    listed: ServiceTagList,
) -> Iterable[FirewallIssue]:
    for tag in required:
        if not listed.list_regions(tag):
            yield build_issue_for_unknown_tag(tag)
        elif not by_tag[tag]:
            yield build_issue_for_unknown_geography(normalize_geography(geography), tag)
        yield from (
            build_issue_for_unknown_tag(name)
            for name in by_tag[tag]
            if listed.find_addresses(name) is None
        )

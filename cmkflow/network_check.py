"""What the firewalls of some files do with service tags: a row for each firewall, region and tag.

Every resource of the files has a row, those too that are no firewall: what is missing from a list
of findings cannot be told from what was looked at and found in order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from cmkflow.exported_resources import ExportedResources
from cmkflow.template_repair import unwritten, with_parameters
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.firewall_fix import FirewallFix, no_fix_public_access_off
from shared.domain.network.firewall_issue import find_firewall_issue
from shared.domain.network.network_check import FLOW_TAGS, PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.verdict import TagVerdict, Verdict, check_firewall
from shared.firewalls import firewall_kinds
from shared.ports import FirewallKind


class FirewallCheckRow(TypedDict):
    """What is said of one firewall, region and tag, or of a resource that is no firewall."""

    #: Azure resource id; in a template: the file, and the id that it would have there.
    resource: str
    #: Which kind of firewall; else the resource's type, or `file`.
    kind: str
    tag: str
    #: Without the tag there is a gap; else it is only reported.
    required: bool
    #: None: the tag as a whole.
    region: str | None
    #: None: it filters nobody.
    verdict: Verdict | None
    #: The verdict for each IP version in which the tag has addresses.
    covered: Mapping[str, Verdict]
    #: Prefixes that are refused, or may be.
    missing: list[str]
    #: A name, and behind a colon what it is about; None: all is covered.
    reason: str | None
    #: Only where it was asked for: what closes the gap in all regions that were asked about.
    repair: NotRequired[FirewallFix | None]


#: Types that filter callers, and that no kind of firewall reads.
_UNREAD_FILTERS = frozenset(
    {
        "microsoft.cdn/profiles",
        "microsoft.cdn/profiles/securitypolicies",
        "microsoft.network/applicationgateways",
        "microsoft.network/applicationgatewaywebapplicationfirewallpolicies",
        "microsoft.network/frontdoors",
        "microsoft.network/frontdoorwebapplicationfirewallpolicies",
    }
)
PART_OF_A_FIREWALL = "part_of_a_firewall"
#: Types that a firewall is put together from, beside its own children.
_PARTS = frozenset(
    {
        "microsoft.network/firewallpolicies",
        "microsoft.network/firewallpolicies/rulecollectiongroups",
        "microsoft.network/ipgroups",
        "microsoft.network/networkinterfaces",
        "microsoft.network/publicipaddresses",
        "microsoft.network/routetables",
        "microsoft.network/routetables/routes",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which service tags are asked about, and where."""

    tags: ServiceTagList
    #: As the list spells them; none: the tags as a whole.
    regions: Sequence[str] = ()
    #: Those of `TAGS_BESIDE` without which there is a gap too.
    also_required: Collection[str] = ()

    def is_required(self, tag: str) -> bool:
        """Say whether there is a gap without a tag."""
        return tag == PROTECTED_TAG or tag in self.also_required

    def name(self, tag: str, region: str) -> str:
        """Return what the list calls a tag in a region; no region: as a whole."""
        return f"{tag}.{region}" if region else tag

    def asked(self) -> Iterator[tuple[str, str, AddressRanges | None]]:
        """Yield each tag and region with its addresses; None: the list does not tell them."""
        for region in self.regions or ("",):
            for tag in (PROTECTED_TAG, *TAGS_BESIDE):
                yield tag, region, self.tags.addresses(self.name(tag, region))


async def check_network(
    resources: ExportedResources, question: Question, *, with_repairs: bool = False
) -> list[FirewallCheckRow]:
    """Return the rows, firewalls first."""
    kinds = firewall_kinds(resources)
    firewalls = await read_firewalls(resources)
    read_types = {kind.resource_type.lower() for kind in kinds.values()}
    sources = RuleSources(question.tags, FLOW_TAGS)
    rows: list[FirewallCheckRow] = []
    for firewall in firewalls:
        own = [*_verdicts(firewall, sources, question)]
        if with_repairs:
            repair = await _repair(kinds, firewall, sources, question)
            expressions = resources.expressions_of(firewall.id)
            if repair and expressions is not None:
                repair = with_parameters(repair, expressions)
            own = [{**row, "repair": repair if is_gap(row) else None} for row in own]
        rows += own
    return [*rows, *_others(resources, firewalls, read_types)]


def is_gap(row: FirewallCheckRow) -> bool:
    """Say whether a required tag is kept out by a firewall, or may be."""
    return row["required"] and row["verdict"] not in {None, Verdict.ALLOWED}


async def _repair(
    kinds: Mapping[str, FirewallKind], firewall: Firewall, sources: RuleSources, question: Question
) -> FirewallFix | None:
    """Return what closes the gaps of all regions at once: rules of each would be in one's way."""
    named = {
        question.name(tag, region): addresses
        for tag, region, addresses in question.asked()
        if question.is_required(tag) and addresses is not None
    }
    gap = find_firewall_issue(firewall, evaluate_rules(firewall, sources), named)
    if gap is None:
        return None
    return (
        no_fix_public_access_off(gap)
        or unwritten(gap)
        or await kinds[firewall.kind].propose_fix(gap)
    )


async def read_firewalls(resources: ExportedResources) -> list[Firewall]:
    """Return the firewalls of every kind that the resources hold."""
    return [one for kind in firewall_kinds(resources).values() for one in await kind.read()]


def _verdicts(
    firewall: Firewall, sources: RuleSources, question: Question
) -> Iterator[FirewallCheckRow]:
    admission = evaluate_rules(firewall, sources)
    for tag, region, addresses in question.asked():
        name = question.name(tag, region)
        judged = _unknown(name) if addresses is None else check_firewall(admission, addresses)
        yield {
            "resource": firewall.id,
            "kind": firewall.kind,
            "tag": tag,
            "required": question.is_required(tag),
            "region": region or None,
            "verdict": judged.verdict,
            "covered": judged.by_version,
            "missing": [*judged.missing],
            "reason": judged.reason,
        }


def _unknown(name: str) -> TagVerdict:
    return TagVerdict(
        verdict=Verdict.UNKNOWN,
        by_version={},
        missing=(),
        reason=f"unknown_tag: the list of service tags does not hold {name}",
    )


def _others(
    resources: ExportedResources, firewalls: Iterable[Firewall], read_types: Collection[str]
) -> Iterator[FirewallCheckRow]:
    """Yield a row for each resource that is no firewall, and for each file without a resource."""
    judged = {firewall.id.partition("#")[0].lower() for firewall in firewalls}
    for resource_id, resource in resources.by_id.items():
        if resource_id not in judged:
            resource_type = str(resource["type"])
            verdict, reason = _unjudged(resource_type.lower(), read_types)
            if verdict and "properties" not in resource:
                reason = "no_properties: export it as Azure Resource Manager shows it"
            if any(resource_id.startswith(f"{one}/") for one in judged):
                verdict, reason = None, PART_OF_A_FIREWALL
            yield _row(str(resource["id"]), resource_type, verdict, reason)
    for unread in resources.unread:
        yield _row(unread.place, "file", None, unread.reason)


def _unjudged(resource_type: str, read_types: Collection[str]) -> tuple[Verdict | None, str]:
    if resource_type in read_types:
        return Verdict.UNKNOWN, "incomplete: what decides is not in the files"
    if resource_type in _UNREAD_FILTERS:
        return Verdict.UNKNOWN, "not_read: check it by hand"
    if resource_type in _PARTS:
        return None, PART_OF_A_FIREWALL
    return None, "not_a_firewall"


def _row(resource: str, kind: str, verdict: Verdict | None, reason: str) -> FirewallCheckRow:
    return {
        "resource": resource,
        "kind": kind,
        "tag": PROTECTED_TAG,
        "required": True,
        "region": None,
        "verdict": verdict,
        "covered": {},
        "missing": [],
        "reason": reason,
    }

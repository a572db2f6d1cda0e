"""What the firewalls of some files do with a service tag: one row for each firewall and region.

Every resource of the files has a row, those too that are no firewall: what is missing from a list
of findings cannot be told from what was looked at and found in order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from cmkflow.exported_resources import ExportedResources
from cmkflow.template_repair import unwritten, with_parameters
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.admission import Sources, admit
from shared.domain.network.coverage import FLOW_TAGS, PROTECTED_TAG
from shared.domain.network.firewall import Firewall
from shared.domain.network.gap import gap_of
from shared.domain.network.repair import Repair, closed
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.verdict import TagVerdict, Verdict, judge
from shared.firewalls import firewall_kinds
from shared.ports import FirewallKind


class Row(TypedDict):
    """What is said of one firewall and one region, or of a resource that is no firewall."""

    #: Azure resource id; in a template: the file, and the id that it would have there.
    resource: str
    #: Which kind of firewall; else the resource's type, or `file`.
    kind: str
    tag: str
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
    repair: NotRequired[Repair | None]


_UNKNOWN_TAG = TagVerdict(
    verdict=Verdict.CANNOT_BE_TOLD,
    by_version={},
    missing=(),
    reason=f"unknown_tag: the list of service tags does not hold {PROTECTED_TAG}",
)
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


async def check_network(
    resources: ExportedResources,
    tags: ServiceTagList,
    regions: Sequence[str],
    *,
    with_repairs: bool = False,
) -> list[Row]:
    """Return the rows, firewalls first; no region: the tag as a whole."""
    kinds = firewall_kinds(resources)
    firewalls = await read_firewalls(resources)
    read_types = {kind.resource_type.lower() for kind in kinds.values()}
    sources, asked = Sources(tags, FLOW_TAGS), _asked(tags, regions)
    rows: list[Row] = []
    for firewall in firewalls:
        own = [*_verdicts(firewall, sources, asked)]
        if with_repairs:
            repair = await _repair(kinds, firewall, sources, asked)
            expressions = resources.expressions_of(firewall.id)
            if repair and expressions is not None:
                repair = with_parameters(repair, expressions)
            own = [{**row, "repair": repair if row["missing"] else None} for row in own]
        rows += own
    return [*rows, *_others(resources, firewalls, read_types)]


async def _repair(
    kinds: Mapping[str, FirewallKind],
    firewall: Firewall,
    sources: Sources,
    asked: Mapping[str, AddressRanges | None],
) -> Repair | None:
    """Return what closes the gaps of all regions at once: rules of each would be in one's way."""
    named = {
        f"{PROTECTED_TAG}.{region}" if region else PROTECTED_TAG: addresses
        for region, addresses in asked.items()
        if addresses is not None
    }
    gap = gap_of(firewall, admit(firewall, sources), named)
    if gap is None:
        return None
    return closed(gap) or unwritten(gap) or await kinds[firewall.kind].repair(gap)


async def read_firewalls(resources: ExportedResources) -> list[Firewall]:
    """Return the firewalls of every kind that the resources hold."""
    return [one for kind in firewall_kinds(resources).values() for one in await kind.read()]


def _asked(tags: ServiceTagList, regions: Sequence[str]) -> dict[str, AddressRanges | None]:
    """Return the addresses of the tag by region, or as a whole under the empty name."""
    names = {region: f"{PROTECTED_TAG}.{region}" for region in regions} or {"": PROTECTED_TAG}
    return {region: tags.addresses(name) for region, name in names.items()}


def _verdicts(
    firewall: Firewall, sources: Sources, asked: Mapping[str, AddressRanges | None]
) -> Iterator[Row]:
    admission = admit(firewall, sources)
    for region, addresses in asked.items():
        judged = _UNKNOWN_TAG if addresses is None else judge(admission, addresses)
        yield {
            "resource": firewall.id,
            "kind": firewall.kind,
            "tag": PROTECTED_TAG,
            "region": region or None,
            "verdict": judged.verdict,
            "covered": judged.by_version,
            "missing": [*judged.missing],
            "reason": judged.reason,
        }


def _others(
    resources: ExportedResources, firewalls: Iterable[Firewall], read_types: Collection[str]
) -> Iterator[Row]:
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
        return Verdict.CANNOT_BE_TOLD, "incomplete: what decides is not in the files"
    if resource_type in _UNREAD_FILTERS:
        return Verdict.CANNOT_BE_TOLD, "not_read: check it by hand"
    if resource_type in _PARTS:
        return None, PART_OF_A_FIREWALL
    return None, "not_a_firewall"


def _row(resource: str, kind: str, verdict: Verdict | None, reason: str) -> Row:
    return {
        "resource": resource,
        "kind": kind,
        "tag": PROTECTED_TAG,
        "region": None,
        "verdict": verdict,
        "covered": {},
        "missing": [],
        "reason": reason,
    }

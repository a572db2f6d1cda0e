"""What the firewalls of some files do with a service tag: one row for each firewall and region.

Every resource of the files has a row, those too that are no firewall: what is missing from a list
of findings cannot be told from what was looked at and found in order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from cmkflow.exported_resources import ExportedResources
from shared.domain.network.admission import ServiceTagRanges
from shared.domain.network.coverage import PROTECTED_TAG
from shared.domain.network.firewall import Firewall
from shared.domain.network.verdict import Verdict, judge
from shared.firewalls import firewall_kinds


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
#: Types that a firewall is put together from, beside its own children.
_PARTS = frozenset(
    {
        "microsoft.network/firewallpolicies",
        "microsoft.network/firewallpolicies/rulecollectiongroups",
        "microsoft.network/ipgroups",
        "microsoft.network/publicipaddresses",
        "microsoft.network/routetables",
        "microsoft.network/routetables/routes",
    }
)


async def check_network(
    resources: ExportedResources, prefixes: Mapping[str, Sequence[str]], regions: Sequence[str]
) -> list[Row]:
    """Return the rows, firewalls first; no region: the tag as a whole."""
    kinds = firewall_kinds(resources)
    firewalls = [one for kind in kinds.values() for one in await kind.read()]
    tags = ServiceTagRanges(prefixes)
    return [
        *(row for firewall in firewalls for row in _verdicts(firewall, tags, regions)),
        *_others(resources, firewalls, {one.resource_type.lower() for one in kinds.values()}),
    ]


def _verdicts(firewall: Firewall, tags: ServiceTagRanges, regions: Sequence[str]) -> Iterator[Row]:
    for region in regions or ("",):
        tag = f"{PROTECTED_TAG}.{region}" if region else PROTECTED_TAG
        judged = judge(firewall, tag, tags)
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
            yield _row(str(resource["id"]), resource_type, verdict, reason)
    for unread in resources.unread:
        yield _row(unread.place, "file", None, unread.reason)


def _unjudged(resource_type: str, read_types: Collection[str]) -> tuple[Verdict | None, str]:
    if resource_type in read_types:
        return Verdict.CANNOT_BE_TOLD, "incomplete: what decides is not in the files"
    if resource_type in _UNREAD_FILTERS:
        return Verdict.CANNOT_BE_TOLD, "not_read: check it by hand"
    if resource_type in _PARTS or resource_type.rpartition("/")[0] in read_types:
        return None, "part_of_a_firewall"
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

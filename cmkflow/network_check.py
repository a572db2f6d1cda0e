"""Check whether firewalls in files allow service tags."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from cmkflow.exported_resources import ExportedResources
from cmkflow.template_repair import explain_missing_list, with_parameters
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.firewall_fix import FirewallFix, explain_why_no_rule_helps
from shared.domain.network.firewall_issue import find_firewall_issue
from shared.domain.network.network_check import FLOW_TAGS, PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.verdict import TagVerdict, Verdict, check_firewall
from shared.firewalls import build_firewall_kinds
from shared.ports import FirewallKind


class FirewallCheckRow(TypedDict):
    """The result for one firewall, tag and region, or for a resource that was not checked."""

    #: Azure resource id; for a template, the file and the id in it.
    resource: str
    #: The kind of firewall, or else the resource type, or `file`.
    kind: str
    tag: str
    #: True if missing addresses of the tag are a firewall issue; False if they are only reported.
    required: bool
    #: None for the tag as a whole.
    region: str | None
    #: None if the resource does not filter callers.
    verdict: Verdict | None
    #: The verdict by IP version, for versions in which the tag has addresses.
    covered: Mapping[str, Verdict]
    #: Address ranges that are denied, or may be.
    missing_prefixes: list[str]
    #: A code, and details after a colon; None if all addresses are allowed.
    message: str | None
    #: Present only on request: the fix for all regions that were checked.
    fix: NotRequired[FirewallFix | None]


#: Resource types that filter callers and that no firewall kind reads.
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
#: Resource types that are parts of a firewall, in addition to its child resources.
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
    """The service tags and regions to check."""

    tags: ServiceTagList
    #: Spelled as in the list; empty for the tags as a whole.
    regions: Sequence[str] = ()
    #: Tags of `TAGS_BESIDE` that are required too.
    also_required: Collection[str] = ()

    def is_required(self, tag: str) -> bool:
        """Return whether firewalls must allow the tag."""
        return tag == PROTECTED_TAG or tag in self.also_required

    def format_tag_name(self, tag: str, region: str) -> str:
        """Return a tag's name in the service tag list, such as `PowerPlatformPlex.WestEurope`."""
        return f"{tag}.{region}" if region else tag

    def list_tags_with_addresses(self) -> Iterator[tuple[str, str, AddressRanges | None]]:
        """Yield each tag and region with its addresses, or with None if the list lacks them."""
        for region in self.regions or ("",):
            for tag in (PROTECTED_TAG, *TAGS_BESIDE):
                yield tag, region, self.tags.find_addresses(self.format_tag_name(tag, region))


async def check_network(
    resources: ExportedResources, question: Question, *, with_fixes: bool = False
) -> list[FirewallCheckRow]:
    """Return a row for each firewall, region and tag, then rows for other resources. `with_fixes`
    adds the firewall fix to rows with a firewall issue.
    """
    kinds = build_firewall_kinds(resources)
    firewalls = await read_exported_firewalls(resources)
    read_types = {kind.resource_type.lower() for kind in kinds.values()}
    sources = RuleSources(question.tags, FLOW_TAGS)
    rows: list[FirewallCheckRow] = []
    for firewall in firewalls:
        own = [*_build_rows_of_firewall(firewall, sources, question)]
        if with_fixes:
            fix = await _propose_fix(kinds, firewall, sources, question)
            expressions = resources.find_expressions(firewall.id)
            if fix and expressions is not None:
                fix = with_parameters(fix, expressions)
            own = [{**row, "fix": fix if is_firewall_issue(row) else None} for row in own]
        rows += own
    return [*rows, *_build_rows_of_unchecked_resources(resources, firewalls, read_types)]


def is_firewall_issue(row: FirewallCheckRow) -> bool:
    """Return whether a firewall denies, or may deny, a required tag."""
    return row["required"] and row["verdict"] not in {None, Verdict.ALLOWED}


async def _propose_fix(
    kinds: Mapping[str, FirewallKind], firewall: Firewall, sources: RuleSources, question: Question
) -> FirewallFix | None:
    """Return one fix for all regions, because fixes for separate regions could conflict."""
    named = {
        question.format_tag_name(tag, region): addresses
        for tag, region, addresses in question.list_tags_with_addresses()
        if question.is_required(tag) and addresses is not None
    }
    issue = find_firewall_issue(firewall, evaluate_rules(firewall, sources), named)
    if issue is None:
        return None
    return (
        explain_why_no_rule_helps(issue)
        or explain_missing_list(issue)
        or await kinds[firewall.kind].propose_fix(issue)
    )


async def read_exported_firewalls(resources: ExportedResources) -> list[Firewall]:
    return [one for kind in build_firewall_kinds(resources).values() for one in await kind.read()]


def _build_rows_of_firewall(
    firewall: Firewall, sources: RuleSources, question: Question
) -> Iterator[FirewallCheckRow]:
    admission = evaluate_rules(firewall, sources)
    for tag, region, addresses in question.list_tags_with_addresses():
        name = question.format_tag_name(tag, region)
        checked = (
            _build_verdict_of_unknown_tag(name)
            if addresses is None
            else check_firewall(admission, addresses)
        )
        yield {
            "resource": firewall.id,
            "kind": firewall.kind,
            "tag": tag,
            "required": question.is_required(tag),
            "region": region or None,
            "verdict": checked.verdict,
            "covered": checked.by_version,
            "missing_prefixes": [*checked.missing_prefixes],
            "message": checked.message,
        }


def _build_verdict_of_unknown_tag(name: str) -> TagVerdict:
    return TagVerdict(
        verdict=Verdict.UNKNOWN,
        by_version={},
        missing_prefixes=(),
        message=f"unknown_tag: the service tag list does not contain {name}",
    )


def _build_rows_of_unchecked_resources(
    resources: ExportedResources, firewalls: Iterable[Firewall], read_types: Collection[str]
) -> Iterator[FirewallCheckRow]:
    checked = {firewall.id.partition("#")[0].lower() for firewall in firewalls}
    for resource_id, resource in resources.by_id.items():
        if resource_id not in checked:
            resource_type = str(resource["type"])
            verdict, message = _judge_unchecked_resource_by_type(resource_type.lower(), read_types)
            if verdict and "properties" not in resource:
                message = "no_properties: export the resource from Azure Resource Manager"
            if any(resource_id.startswith(f"{one}/") for one in checked):
                verdict, message = None, PART_OF_A_FIREWALL
            yield _build_row_of_unchecked_resource(
                str(resource["id"]), resource_type, verdict, message
            )
    for unread in resources.unread:
        yield _build_row_of_unchecked_resource(unread.place, "file", None, unread.reason)


def _judge_unchecked_resource_by_type(
    resource_type: str, read_types: Collection[str]
) -> tuple[Verdict | None, str]:
    if resource_type in read_types:
        return (
            Verdict.UNKNOWN,
            "incomplete: the files do not contain all parts of the firewall",
        )
    if resource_type in _UNREAD_FILTERS:
        return Verdict.UNKNOWN, "not_read: check it manually"
    if resource_type in _PARTS:
        return None, PART_OF_A_FIREWALL
    return None, "not_a_firewall"


def _build_row_of_unchecked_resource(
    resource: str, kind: str, verdict: Verdict | None, message: str
) -> FirewallCheckRow:
    return {
        "resource": resource,
        "kind": kind,
        "tag": PROTECTED_TAG,
        "required": True,
        "region": None,
        "verdict": verdict,
        "covered": {},
        "missing_prefixes": [],
        "message": message,
    }

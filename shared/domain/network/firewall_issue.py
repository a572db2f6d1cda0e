"""Describe firewall issues: what is denied, by which rules, and how to allow it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.address_ranges import IPV4, IPV6, AddressRanges, unite_ranges
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import (
    DEFAULT_RULE,
    FirewallDecision,
    list_rules_affecting,
)

_SHOWN = 12
_FLOWS_SHOWN = 5
_UNKNOWN_ADDRESSES = "the flows' new addresses, which this app does not know"
#: Added to the fix of an issue that blocks no flow.
NOT_REQUIRED = (
    " Microsoft's page on IP addresses names these tags in addition to PowerPlatformPlex. They "
    "block no flow unless they are in CMK_ADDITIONAL_REQUIRED_TAGS."
)

_NOT_LISTED = (
    "Find the IPv4 addresses in a newer service tag list, or ask Microsoft for them. Allow them, "
    "then ignore the issue."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallIssue:
    """A reason why calls by copies are, or may be, denied."""

    #: The name by which an administrator ignores the issue; the same in every check.
    name: str
    #: The firewall's kind; `geography` or `service_tag` if the app lacks information;
    #: `external_target` for a host behind a firewall that the app cannot read.
    kind: str
    firewall_id: str
    firewall_name: str
    #: False: it concerns a tag that is reported but not required.
    is_required: bool = True
    #: False: it is unknown whether the firewall allows or denies the traffic.
    is_certain: bool
    missing_tags: tuple[str, ...]
    missing_prefixes: tuple[str, ...]
    message: str
    fix: str
    #: Rules that deny the missing addresses or leave them uncertain, including the default.
    rules: tuple[str, ...] = ()
    #: Public access is off: no rule changes that.
    denies_all_public_access: bool = False

    @property
    def resource_id(self) -> str:
        """Return the id of the Azure resource that the firewall is, or belongs to."""
        return self.firewall_id.partition("#")[0]

    @property
    def resource_name(self) -> str:
        """Return the name of the Azure resource that the firewall is, or belongs to."""
        return self.resource_id.rpartition("/")[2]

    @property
    def part(self) -> str:
        """Return the part of the resource that is concerned, or "" for the whole resource."""
        return self.firewall_id.partition("#")[2]


def find_firewall_issue(
    firewall: Firewall,
    admission: FirewallDecision,
    asked: Mapping[str, AddressRanges],
    *,
    is_required: bool = True,
) -> FirewallIssue | None:
    """Return the issue if a firewall does not allow all addresses of the tags `asked`, else
    None.
    """
    lacking = {
        tag: left
        for tag, whole in asked.items()
        if (left := admission.find_reaching_addresses(whole) - admission.allowed)
    }
    # The addresses of these tags are unknown, so only a firewall that allows all of IPv4 is sure to
    # allow them.
    unlisted = tuple(
        tag
        for tag, whole in asked.items()
        if admission.has_no_reaching_address(whole) and IPV4 - admission.allowed
    )
    if not lacking and not unlisted:
        return None
    missing = unite_ranges(lacking.values())
    denying = list_rules_affecting(admission.denied_by, missing & admission.denied)
    doubting = list_rules_affecting(admission.doubted_for, missing)
    if not lacking and not IPV4 - admission.denied:
        denying = (DEFAULT_RULE,)
    tags = (*lacking, *unlisted)
    texts = [_format_unlisted_tags(firewall, unlisted)] if unlisted else []
    instructions = [_NOT_LISTED] if unlisted else []
    if denying or lacking:
        reason = (
            _format_denied_tags(firewall, tags, denying)
            if denying
            else _format_uncertain_decision(firewall, tags, doubting)
        )
        texts.insert(0, reason)
    if lacking:
        instructions.insert(0, _format_fix(firewall, tuple(lacking), missing, denying))
    return FirewallIssue(
        name=f"{firewall.kind}:{firewall.id.lower()}",
        kind=firewall.kind,
        firewall_id=firewall.id,
        firewall_name=firewall.name,
        is_required=is_required,
        is_certain=bool(denying),
        missing_tags=tags,
        missing_prefixes=missing.list_prefixes(),
        message=" ".join(texts),
        fix=" ".join(instructions) + ("" if is_required else NOT_REQUIRED),
        rules=denying + doubting,
        denies_all_public_access=firewall.denies_all_public_access,
    )


def _format_unlisted_tags(firewall: Firewall, tags: Sequence[str]) -> str:
    return (
        f"{firewall.name} accepts only IPv4 addresses, and Microsoft's service tag list has none "
        f"for {', '.join(tags)}. The addresses of these flows are unknown."
    )


def _format_denied_tags(firewall: Firewall, tags: Sequence[str], rules: Sequence[str]) -> str:
    guarded = f" It protects {', '.join(firewall.protects)}." if firewall.protects else ""
    return (
        f"{firewall.name} denies addresses of {', '.join(tags)} (by {', '.join(rules)}).{guarded}"
    )


def _format_uncertain_decision(
    firewall: Firewall, tags: Sequence[str], rules: Sequence[str]
) -> str:
    return (
        f"Unknown whether {firewall.name} allows {', '.join(tags)}: {', '.join(rules)} has a "
        "source that the app cannot evaluate, or matches only part of the traffic."
    )


def _format_fix(
    firewall: Firewall, tags: Sequence[str], missing: AddressRanges, denying: Sequence[str]
) -> str:
    prefixes = missing.list_prefixes()
    shown = ", ".join(prefixes[:_SHOWN])
    more = f" and {len(prefixes) - _SHOWN} more" if len(prefixes) > _SHOWN else ""
    rules = [name for name in denying if any(name == rule.name for rule in firewall.rules)]
    before = f", before {', '.join(rules)}" if rules else ""
    allow = (
        f"Allow inbound HTTPS from the service tags {', '.join(tags)} on {firewall.name}{before}"
        f" (missing: {shown}{more})."
    )
    only_v6 = "Only IPv6 addresses are missing, which matters only if the host has an IPv6 address."
    return " ".join(filter(None, (allow, firewall.how_to_open, only_v6 if missing <= IPV6 else "")))


def build_issue_for_external_host(
    host: str, flows: Sequence[str], asked: Mapping[str, AddressRanges]
) -> FirewallIssue:
    """Return an issue which says that the owner of a host has to allow the flows.

    No known firewall protects the host.
    """
    more = f" and {len(flows) - _FLOWS_SHOWN} more" if len(flows) > _FLOWS_SHOWN else ""
    return FirewallIssue(
        name=f"external_target:{host}",
        kind="external_target",
        firewall_id="",
        firewall_name="",
        is_required=False,
        is_certain=False,
        missing_tags=tuple(asked),
        missing_prefixes=unite_ranges(asked.values()).list_prefixes(),
        message=f"The app reads no firewall of {host}, which"
        f" {', '.join(flows[:_FLOWS_SHOWN])}{more} call{'s' * (len(flows) == 1)}.",
        fix=(
            f"Ask its owner to allow inbound HTTPS from {', '.join(asked) or _UNKNOWN_ADDRESSES}: "
            "`cmkflow network called-hosts` writes the e-mail."
        ),
    )


def build_issue_for_unknown_geography(geography: str, tag: str) -> FirewallIssue:
    """Return an issue which says that the service tag list has no region in a geography."""
    return _build_issue_without_firewall(
        name=f"geography:{geography}",
        text=(
            f"No region of {tag} in the service tag list has a name that belongs to the geography "
            f"'{geography}'."
        ),
        fix=(
            "Add the names of its regions to shared/domain/network/geographies.py. Or check the "
            "firewalls manually and ignore the issue."
        ),
    )


def build_issue_for_unknown_tag(tag: str) -> FirewallIssue:
    """Return an issue which says that the service tag list has no addresses of a tag."""
    return _build_issue_without_firewall(
        name=f"service_tag:{tag.lower()}",
        text=f"The service tag list has no readable entry for {tag}, so its addresses are unknown.",
        fix="Check that the app may read service tags, and that the list is current.",
        tags=(tag,),
    )


def _build_issue_without_firewall(
    *, name: str, text: str, fix: str, tags: tuple[str, ...] = ()
) -> FirewallIssue:
    return FirewallIssue(
        name=name,
        kind=name.partition(":")[0],
        firewall_id="",
        firewall_name="",
        is_certain=False,
        missing_tags=tags,
        missing_prefixes=(),
        message=text,
        fix=fix,
    )

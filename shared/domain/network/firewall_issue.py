"""What a firewall lacks, in words: what is kept out, by which rules, and what to let in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.address_ranges import IPV4, IPV6, AddressRanges, union
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import DEFAULT_RULE, FirewallDecision, rules_affecting

_SHOWN = 12
_FLOWS_SHOWN = 5
_NOT_KNOWN = "the flows' new addresses, which are not known here"
_NOT_REQUIRED = (
    " Microsoft's page on IP addresses asks for them beside PowerPlatformPlex; no flow waits for it"
    " unless CMK_ADDITIONAL_REQUIRED_TAGS names them."
)

_NOT_LISTED = (
    "Look for the IPv4 addresses in a newer list of service tags, or ask Microsoft for them; let"
    " them in and waive the gap."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallIssue:
    """A firewall that refuses, or may refuse, what a copy sends."""

    #: What an administrator waives the gap by; the same in every check.
    name: str
    #: Kind of the firewall; `geography` or `service_tag` where the check itself lacks knowledge,
    #: `issue_for_external_host` where it is another's.
    kind: str
    firewall_id: str
    firewall_name: str
    #: False: of a tag that is told of and that no setting requires.
    is_required: bool = True
    #: False: nothing proves that traffic is refused, nothing proves that it is let in.
    is_certain: bool
    missing_tags: tuple[str, ...]
    missing_prefixes: tuple[str, ...]
    text: str
    instruction: str
    #: Rules that refuse what is missing, or leave it open; the default among them.
    rules: tuple[str, ...] = ()
    #: Public access is off as a whole: no rule opens it.
    denies_all_public_access: bool = False

    @property
    def resource_id(self) -> str:
        """Return the Azure resource that the firewall is, or is part of."""
        return self.firewall_id.partition("#")[0]

    @property
    def resource_name(self) -> str:
        """Return what that resource is called."""
        return self.resource_id.rpartition("/")[2]

    @property
    def part(self) -> str:
        """Return which part of the resource it is; empty: the whole."""
        return self.firewall_id.partition("#")[2]


def find_firewall_issue(
    firewall: Firewall,
    admission: FirewallDecision,
    asked: Mapping[str, AddressRanges],
    *,
    is_required: bool = True,
) -> FirewallIssue | None:
    """Return what a firewall lacks of these tags, None if it lets all of them in."""
    lacking = {
        tag: left
        for tag, whole in asked.items()
        if (left := admission.counting(whole) - admission.allowed)
    }
    # Nobody knows which addresses of these come: whoever lets everybody in lets them in.
    unlisted = tuple(
        tag
        for tag, whole in asked.items()
        if admission.is_without_addresses(whole) and IPV4 - admission.allowed
    )
    if not lacking and not unlisted:
        return None
    missing = union(lacking.values())
    refusing = rules_affecting(admission.denied_by, missing & admission.denied)
    doubting = rules_affecting(admission.doubted_for, missing)
    if not lacking and not IPV4 - admission.denied:
        refusing = (DEFAULT_RULE,)
    tags = (*lacking, *unlisted)
    texts = [_unlisted(firewall, unlisted)] if unlisted else []
    instructions = [_NOT_LISTED] if unlisted else []
    if refusing or lacking:
        said = _refusal(firewall, tags, refusing) if refusing else _doubt(firewall, tags, doubting)
        texts.insert(0, said)
    if lacking:
        instructions.insert(0, _instruction(firewall, tuple(lacking), missing, refusing))
    return FirewallIssue(
        name=f"{firewall.kind}:{firewall.id.lower()}",
        kind=firewall.kind,
        firewall_id=firewall.id,
        firewall_name=firewall.name,
        is_required=is_required,
        is_certain=bool(refusing),
        missing_tags=tags,
        missing_prefixes=missing.prefixes(),
        text=" ".join(texts),
        instruction=" ".join(instructions) + ("" if is_required else _NOT_REQUIRED),
        rules=refusing + doubting,
        denies_all_public_access=firewall.denies_all_public_access,
    )


def _unlisted(firewall: Firewall, tags: Sequence[str]) -> str:
    return (
        f"{firewall.name} takes IPv4 addresses alone, and Microsoft's list of service tags has none"
        f" of {', '.join(tags)}: which addresses flows come from there is not known."
    )


def _refusal(firewall: Firewall, tags: Sequence[str], rules: Sequence[str]) -> str:
    guarded = f" It guards {', '.join(firewall.protects)}." if firewall.protects else ""
    return (
        f"{firewall.name} refuses addresses of {', '.join(tags)} (by {', '.join(rules)}).{guarded}"
    )


def _doubt(firewall: Firewall, tags: Sequence[str], rules: Sequence[str]) -> str:
    return (
        f"Whether {firewall.name} lets in {', '.join(tags)} cannot be told: {', '.join(rules)} has"
        " a source that cannot be read, or matches only part of the traffic."
    )


def _instruction(
    firewall: Firewall, tags: Sequence[str], missing: AddressRanges, refusing: Sequence[str]
) -> str:
    prefixes = missing.prefixes()
    shown = ", ".join(prefixes[:_SHOWN])
    more = f" and {len(prefixes) - _SHOWN} more" if len(prefixes) > _SHOWN else ""
    rules = [name for name in refusing if any(name == rule.name for rule in firewall.rules)]
    before = f", before {', '.join(rules)}" if rules else ""
    allow = (
        f"Allow inbound HTTPS from the service tags {', '.join(tags)} on {firewall.name}{before}"
        f" (missing: {shown}{more})."
    )
    only_v6 = "Only IPv6 is missing: it matters where the target has an IPv6 address."
    return " ".join(filter(None, (allow, firewall.how_to_open, only_v6 if missing <= IPV6 else "")))


def issue_for_external_host(
    host: str, flows: Sequence[str], asked: Mapping[str, AddressRanges]
) -> FirewallIssue:
    """Return what the owner of a host has to let in that nothing which is read stands before."""
    more = f" and {len(flows) - _FLOWS_SHOWN} more" if len(flows) > _FLOWS_SHOWN else ""
    return FirewallIssue(
        name=f"external_target:{host}",
        kind="external_target",
        firewall_id="",
        firewall_name="",
        is_required=False,
        is_certain=False,
        missing_tags=tuple(asked),
        missing_prefixes=union(asked.values()).prefixes(),
        text=f"Nothing that this app reads answers for {host}, which"
        f" {', '.join(flows[:_FLOWS_SHOWN])}{more} call{'s' * (len(flows) == 1)}.",
        instruction=f"Ask its owner to let in inbound HTTPS from {', '.join(asked) or _NOT_KNOWN}:"
        " `cmkflow network called-hosts` writes the e-mail.",
    )


def issue_for_unknown_geography(geography: str, tag: str) -> FirewallIssue:
    """Return that the list has no region of a geography."""
    return _unknown(
        name=f"geography:{geography}",
        text=f"The list of service tags has no region of {tag} whose name tells that it lies in the"
        f" geography '{geography}'.",
        instruction="Add what its regions are called to shared/domain/network/geographies.py, or"
        " check the firewalls by hand and waive.",
    )


def issue_for_unknown_tag(tag: str) -> FirewallIssue:
    """Return that nobody knows the addresses of a tag."""
    return _unknown(
        name=f"service_tag:{tag.lower()}",
        text=f"The list of service tags does not hold {tag}, or not readably: its addresses are not"
        " known.",
        instruction="Check that the app may read service tags and that the list is current.",
        tags=(tag,),
    )


def _unknown(
    *, name: str, text: str, instruction: str, tags: tuple[str, ...] = ()
) -> FirewallIssue:
    return FirewallIssue(
        name=name,
        kind=name.partition(":")[0],
        firewall_id="",
        firewall_name="",
        is_certain=False,
        missing_tags=tags,
        missing_prefixes=(),
        text=text,
        instruction=instruction,
    )

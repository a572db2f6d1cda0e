"""Whether the firewalls in front of a flow's targets let its copy through.

After a customer-managed key is applied, HTTP actions come from the addresses of the service tag
`PowerPlatformPlex` (customer-managed-keys.md, *Update Firewall configuration*). All regions of the
environment's geography count, wherever the target is (contract §9.1). docs/network.md says how a
firewall is told to concern a flow.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.address_ranges import AddressRanges, union
from shared.domain.network.admission import (
    Admission,
    ServiceTagRanges,
    admit,
    any_source,
    names,
)
from shared.domain.network.firewall import Access, Firewall
from shared.domain.network.geographies import UnknownGeography, canonical, regions_of

#: The tag of the infrastructure under a customer-managed key.
PROTECTED_TAG = "PowerPlatformPlex"
#: Tags of flow traffic: a firewall that admits any of them was configured for flows (§9.1).
FLOW_TAGS = ("LogicApps", "AzureConnectors", "PowerPlatformInfra", PROTECTED_TAG)
#: Hosts of Microsoft's own services, whose firewalls are not the customer's to open. Hosts that a
#: customer's machine can have (`cloudapp.azure.com`, `azure-api.net`) are not among them.
MICROSOFT_HOSTS = (
    "azurewebsites.net",
    "dev.azure.com",
    "dynamics.com",
    "login.microsoftonline.com",
    "logic.azure.com",
    "logic.azure.us",
    "management.azure.com",
    "microsoft.com",
    "microsoftonline.com",
    "office.com",
    "office365.com",
    "outlook.com",
    "powerapps.com",
    "powerautomate.com",
    "powerplatform.com",
    "sharepoint.com",
    "vault.azure.net",
    "windows.net",
)
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGap:
    """A firewall that refuses, or may refuse, what a copy sends."""

    #: What an administrator waives the gap by; the same in every check.
    name: str
    #: Kind of the firewall; `geography` or `service_tag` where the check itself lacks knowledge.
    kind: str
    firewall_id: str
    firewall_name: str
    #: False: nothing proves that traffic is refused, nothing proves that it is let in.
    is_certain: bool
    missing_tags: tuple[str, ...]
    missing_prefixes: tuple[str, ...]
    text: str
    instruction: str


def gaps(
    firewalls: Sequence[Firewall],
    geography: str,
    hosts: Collection[str | None],
    prefixes: Mapping[str, Sequence[str]],
) -> list[NetworkGap]:
    """Return what stands in the way of a flow of this geography that calls these hosts.

    A host that is None or empty is an expression: it may be any. `prefixes` are those of every
    service tag. What cannot be told is a gap that is not certain.
    """
    if not any(_may_be_refused(host, firewalls) for host in hosts):
        return []
    try:
        regions = regions_of(geography)
    except UnknownGeography as err:
        return [_unknown_geography(canonical(geography), str(err))]
    tags = ServiceTagRanges(prefixes)
    wanted = {region: f"{PROTECTED_TAG}.{region}" for region in regions}
    found = {tag: tags.addresses(tag) for tag in wanted.values()}
    required = {tag: ranges for tag, ranges in found.items() if ranges is not None}
    result = [_unknown_tag(tag) for tag, ranges in found.items() if ranges is None]
    claimed = [firewall for firewall in firewalls if firewall.hosts]
    for firewall in firewalls:
        if concerned(hosts, firewall, claimed, admits_flows(firewall, regions, tags)):
            gap = _gap(firewall, required, admit(firewall, required, tags))
            if gap:
                result.append(gap)
    return result


def concerned(
    hosts: Collection[str | None],
    firewall: Firewall,
    claimed: Iterable[Firewall],
    is_for_flows: bool,
) -> bool:
    """Say whether a firewall stands, or may stand, before a host that a flow calls.

    A firewall whose hosts are known concerns the flows that call them. One configured for flow
    traffic also concerns flows whose host is an expression, and if its own hosts are not known,
    flows with a host that none of the `claimed` firewalls stands before.
    """
    if any(host and _stands_before(firewall, host) for host in hosts):
        return True
    if not is_for_flows:
        return False
    if not all(hosts):
        return True
    return not firewall.hosts and bool(unchecked_hosts(claimed, hosts))


def unchecked_hosts(
    firewalls: Iterable[Firewall], hosts: Collection[str | None]
) -> tuple[str, ...]:
    """Return the hosts that are not Microsoft's and that no firewall is known to stand before."""
    known = list(firewalls)
    return tuple(
        host
        for host in hosts
        if host
        and _may_be_behind_a_firewall(host)
        and not any(_stands_before(firewall, host) for firewall in known)
    )


def admits_flows(firewall: Firewall, regions: Sequence[str], tags: ServiceTagRanges) -> bool:
    """Say whether a firewall was configured for flow traffic from these regions.

    So the document words it: "If the firewall was previously configured to allow flow HTTP
    actions, it's likely that the configuration needs to be updated".
    """
    wanted = [f"{base}.{region}" for base in FLOW_TAGS for region in regions]
    sources = list(any_source(firewall.rules, Access.ALLOW))
    if any(names(source, tag) for source in sources for tag in wanted):
        return True
    known = {tag: ranges for tag in wanted if (ranges := tags.addresses(tag)) is not None}
    return bool(admit(firewall, known, tags).allowed)


def _may_be_refused(host: str | None, firewalls: Iterable[Firewall]) -> bool:
    """Say whether a host may refuse a flow; one of Microsoft's own does if a firewall claims it."""
    if _may_be_behind_a_firewall(host):
        return True
    return bool(host) and any(_stands_before(firewall, str(host)) for firewall in firewalls)


def _may_be_behind_a_firewall(host: str | None) -> bool:
    if not host:
        return True
    name = host.lower().rstrip(".")
    return not any(name == own or name.endswith(f".{own}") for own in MICROSOFT_HOSTS)


def _stands_before(firewall: Firewall, host: str) -> bool:
    name = host.lower().rstrip(".")
    return any(
        name == own or (own.startswith("*.") and name.endswith(own[1:])) for own in firewall.hosts
    )


def _gap(
    firewall: Firewall, required: Mapping[str, AddressRanges], admission: Admission
) -> NetworkGap | None:
    missing = admission.denied | admission.doubtful
    if not missing:
        return None
    tags = tuple(tag for tag, ranges in required.items() if ranges & missing)
    prefixes = union(required[tag] & missing for tag in tags).prefixes()
    return NetworkGap(
        name=f"{firewall.kind}:{firewall.id.lower()}",
        kind=firewall.kind,
        firewall_id=firewall.id,
        firewall_name=firewall.name,
        is_certain=bool(admission.denied),
        missing_tags=tags,
        missing_prefixes=prefixes,
        text=_text(firewall, tags, admission),
        instruction=_instruction(firewall, tags, prefixes, admission),
    )


def _text(firewall: Firewall, tags: Sequence[str], admission: Admission) -> str:
    listed = ", ".join(tags)
    if admission.denied:
        by = ", ".join(admission.denied_by)
        guarded = f" It guards {', '.join(firewall.guards)}." if firewall.guards else ""
        return f"{firewall.name} refuses addresses of {listed} (by {by}).{guarded}"
    rules = ", ".join(admission.doubted_for)
    return (
        f"Whether {firewall.name} lets in {listed} cannot be told: {rules} has a source that cannot"
        " be read, or matches only part of the traffic."
    )


def _instruction(
    firewall: Firewall, tags: Sequence[str], prefixes: Sequence[str], admission: Admission
) -> str:
    shown = ", ".join(prefixes[:_SHOWN])
    more = f" and {len(prefixes) - _SHOWN} more" if len(prefixes) > _SHOWN else ""
    rules = [name for name in admission.denied_by if any(name == r.name for r in firewall.rules)]
    before = f", before {', '.join(rules)}" if rules else ""
    only_v6 = "Only IPv6 is missing: it matters where the target has an IPv6 address."
    allow = (
        f"Allow inbound HTTPS from the service tags {', '.join(tags)} on {firewall.name}{before}"
        f" (missing: {shown}{more})."
    )
    sentences = (
        allow,
        firewall.opened_by,
        only_v6 if all(":" in prefix for prefix in prefixes) else "",
    )
    return " ".join(filter(None, sentences))


def _unknown_geography(geography: str, text: str) -> NetworkGap:
    return _unknown(
        name=f"geography:{geography}",
        text=text,
        instruction="Add the geography and its regions, or check the firewalls by hand and waive.",
    )


def _unknown_tag(tag: str) -> NetworkGap:
    return _unknown(
        name=f"service_tag:{tag.lower()}",
        text=f"The list of service tags does not hold {tag}: its addresses are not known.",
        instruction="Check that the app may read service tags and that the list is current.",
        tags=(tag,),
    )


def _unknown(*, name: str, text: str, instruction: str, tags: tuple[str, ...] = ()) -> NetworkGap:
    return NetworkGap(
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

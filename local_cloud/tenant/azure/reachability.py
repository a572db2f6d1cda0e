"""Determine whether a customer's host accepts a flow's outbound call.

A flow calls from the ranges of a service tag in its region: `LogicApps` on Microsoft's key, and
`PowerPlatformPlex` on the customer's key (platform.md#plex-tag). In front of the host, there may be
a network security group, an Azure Firewall, the access restrictions of an App Service site, an
address list of another service, an `ip-filter` of API Management, or the firewall of a database.
One denied range is enough to deny the call, because the range of a call cannot be predicted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from local_cloud.tenant.azure.addresses import (
    EVERY_ADDRESS,
    Range,
    Ranges,
    merge_ranges,
    parse_ranges,
    subtract_ranges,
)
from local_cloud.tenant.azure.api_policies import find_filters
from local_cloud.tenant.azure.azure_firewall import find_published_hosts
from local_cloud.tenant.azure.ip_rules import find_ip_lists
from local_cloud.tenant.azure.providers import list_resource_providers
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.service_tags import SimulatedServiceTags
from local_cloud.tenant.azure.site_restrictions import build_effective_restrictions
from local_cloud.tenant.azure.site_runtime import get_configuration
from local_cloud.tenant.azure.state import SECURITY_GROUPS, SITES, SLOTS, Azure

#: The text of a run's failed action, as Microsoft's page gives it (platform.md#denied-calls).
REFUSED = (
    "Http request failed as there is an error: 'No connection could be made because the target "
    "machine actively refused it'."
)

#: Names in rules that mean every address on the internet; `AzureCloud` holds all of Azure's.
_EVERYTHING = frozenset(("*", "any", "internet", "azurecloud"))
#: Names in rules that no flow calls from.
_ELSEWHERE = frozenset(("virtualnetwork", "azureloadbalancer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOrigin:
    #: Azure region, `westeurope`.
    region: str
    is_protected: bool

    @property
    def service_tag(self) -> str:
        """The service tag that contains the addresses from which the flow calls."""
        return "PowerPlatformPlex" if self.is_protected else "LogicApps"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCall:
    #: Id of the network security group or the site that refuses it.
    resource_id: str
    message: str = REFUSED


@dataclass(frozen=True, slots=True)
class _Rule:
    sources: Ranges
    is_allowing: bool


@dataclass(frozen=True, slots=True)
class _Target:
    address: str
    port: int


def find_denial(azure: Azure, host: str, origin: FlowOrigin, port: int = 443) -> DeniedCall | None:
    """Return what denies a flow's call to a host, or None if nothing does."""
    tag = azure.service_tags.find_regional(origin.service_tag, origin.region)
    sources = () if tag is None else tag.ranges
    for resource_id, rules in _list_barriers(azure, host.lower(), port):
        if not _is_allowed(sources, rules):
            return DeniedCall(resource_id=resource_id)
    for published in find_published_hosts(azure, host.lower(), port):
        rules = [_Rule(published.refused, False), _Rule(published.let_in, True)]
        if not _is_allowed(sources, rules):
            return DeniedCall(resource_id=published.firewall_id)
    for resource_id, let_in in chain(
        find_ip_lists(azure, host.lower(), origin.region),
        find_filters(azure, host.lower()),
        *(
            one.find_firewalls(azure, host.lower(), origin.region)
            for one in list_resource_providers()
        ),
    ):
        if not _is_allowed(sources, [_Rule(let_in, True)]):
            return DeniedCall(resource_id=resource_id)
    return None


def _list_barriers(azure: Azure, host: str, port: int) -> Iterator[tuple[str, list[_Rule]]]:
    if guarded := azure.guarded_hosts.get(host):
        group = azure.resources.find(SECURITY_GROUPS, guarded.group_id)
        if group is not None:
            target = _Target(guarded.address, port)
            yield guarded.group_id, _group_rules(azure.service_tags, group, target)
    for site in (*azure.resources.list_of_type(SITES), *azure.resources.list_of_type(SLOTS)):
        if host in (name.lower() for name in site["properties"]["hostNames"]):
            web = site["properties"] | get_configuration(azure, site["id"], "web")
            yield site["id"], _list_site_rules(azure.service_tags, web)


def _is_allowed(sources: Ranges, rules: Iterable[_Rule]) -> bool:
    """Return whether the rules allow all source ranges.

    The first rule that matches a range decides about it.
    """
    for rule in rules:
        remaining = subtract_ranges(sources, rule.sources)
        if remaining != sources and not rule.is_allowing:
            return False
        sources = remaining
    return not sources


def _group_rules(tags: SimulatedServiceTags, group: JsonObject, target: _Target) -> list[_Rule]:
    properties = group["properties"]
    every = [
        rule["properties"]
        for rule in (*properties["securityRules"], *properties["defaultSecurityRules"])
    ]
    relevant = [
        rule
        for rule in every
        if rule["direction"].lower() == "inbound"
        and rule["protocol"].lower() in ("*", "tcp")
        and _has_port(rule, target.port)
        and _has_destination(rule, target.address)
    ]
    relevant.sort(key=lambda rule: int(rule["priority"]))
    return [
        _Rule(
            _read_sources(tags, rule.get("sourceAddressPrefixes") or [rule["sourceAddressPrefix"]]),
            rule["access"].lower() == "allow",
        )
        for rule in relevant
    ]


def _has_port(rule: JsonObject, port: int) -> bool:
    for text in rule.get("destinationPortRanges") or [rule["destinationPortRange"]]:
        first, _, last = str(text).partition("-")
        if first == "*" or int(first) <= port <= int(last or first):
            return True
    return False


def _has_destination(rule: JsonObject, address: str) -> bool:
    """Return whether a rule applies to calls to this address.

    A rule with application security groups as its destination does not apply.
    """
    if rule.get("destinationApplicationSecurityGroups"):
        return False
    inside = parse_ranges([address])
    for prefix in rule.get("destinationAddressPrefixes") or [rule["destinationAddressPrefix"]]:
        lowered = prefix.lower()
        if lowered in _EVERYTHING or lowered == "virtualnetwork":
            return True
        if lowered[:1].isdecimal() and not subtract_ranges(inside, parse_ranges([lowered])):
            return True
    return False


def _list_site_rules(tags: SimulatedServiceTags, web: JsonObject) -> list[_Rule]:
    if str(web.get("publicNetworkAccess")).lower() == "disabled":
        return []
    return [
        _Rule(_read_sources(tags, each["ipAddress"].split(",")), each["action"].lower() == "allow")
        for each in build_effective_restrictions(web)
        # A rule on a subnet, or on headers that a flow does not send, speaks of nobody here.
        if each.get("ipAddress") and not each.get("headers")
    ]


def _read_sources(tags: SimulatedServiceTags, names: Iterable[str]) -> Ranges:
    ranges: list[Range] = []
    for name in names:
        lowered = name.strip().lower()
        if lowered in _EVERYTHING or lowered.startswith("azurecloud."):
            return EVERY_ADDRESS
        if tag := tags.find(lowered):
            ranges.extend(tag.ranges)
        elif lowered not in _ELSEWHERE:
            ranges.extend(parse_ranges([lowered]))
    return merge_ranges(ranges)

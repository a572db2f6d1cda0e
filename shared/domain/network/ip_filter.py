"""Parse the `ip-filter` policies of API Management (Microsoft: *Restrict caller IPs*).

A filter allows its addresses and denies all others, or the reverse. A request has to pass all
filters. A filter is uncertain inside a condition, or with expressions or named values as addresses.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction, build_unread_rules
from shared.domain.network.matching import format_prefixes


@dataclass(frozen=True, slots=True, kw_only=True)
class IpFilterPolicy:
    """The `ip-filter` elements of one policy document."""

    #: In order: the rules of each filter, and its action for other addresses.
    filters: tuple[tuple[tuple[FirewallRule, ...], RuleAction], ...]
    #: Whether the policies of the enclosing scope apply too.
    has_base: bool


def parse_ip_filter_policy(xml: str, name: str) -> IpFilterPolicy:
    """Parse the filters of a policy document. Names of rules begin with `name`, its scope."""
    try:
        inbound = ET.fromstring(xml).find("inbound")  # noqa: S314 – expat bounds entities
    except ET.ParseError:
        unread = build_unread_rules(f"{name}: policy", "it is not XML")
        return IpFilterPolicy(filters=((unread, RuleAction.ALLOW),), has_base=True)
    if inbound is None:
        return IpFilterPolicy(filters=(), has_base=True)
    found = tuple(_parse_filters(inbound, name, is_certain=True))
    return IpFilterPolicy(filters=found, has_base=inbound.find("base") is not None)


def build_firewall_from_filters(open_one: Firewall, policies: Iterable[IpFilterPolicy]) -> Firewall:
    """Return a firewall that allows the addresses that pass the filters of all policies.

    It is like `open_one`, which has no rules.
    """
    chain: Firewall | None = None
    for policy in policies:
        for rules, default in policy.filters:
            chain = replace(open_one, rules=rules, default=default, behind=chain)
    return chain or open_one


def _parse_filters(
    element: ET.Element, name: str, *, is_certain: bool
) -> Iterator[tuple[tuple[FirewallRule, ...], RuleAction]]:
    for child in element:
        if child.tag == "ip-filter":
            yield _parse_filter(child, name, is_certain=is_certain)
        else:
            # In `choose` and similar elements, whether a filter applies depends on the call.
            yield from _parse_filters(child, name, is_certain=False)


def _parse_filter(
    element: ET.Element, name: str, *, is_certain: bool
) -> tuple[tuple[FirewallRule, ...], RuleAction]:
    action = element.get("action", "")
    sources = tuple(source for child in element for source in _parse_filter_sources(child))
    title = f"{name}: ip-filter {action}"
    if action not in {"allow", "forbid"}:
        return build_unread_rules(title, action), RuleAction.ALLOW
    is_allow = action == "allow"
    rule = FirewallRule(
        name=title,
        action=RuleAction.ALLOW if is_allow else RuleAction.DENY,
        sources=sources,
        is_certain=is_certain,
    )
    if not is_allow or is_certain:
        return (rule,), RuleAction.DENY if is_allow else RuleAction.ALLOW
    # Inside a condition, it may deny all other addresses.
    listed = replace(rule, is_certain=True)
    others = replace(rule, action=RuleAction.DENY, sources=("*",))
    return (listed, others), RuleAction.ALLOW


def _parse_filter_sources(element: ET.Element) -> tuple[str, ...]:
    if element.tag == "address-range":
        return format_prefixes(f"{element.get('from', '').strip()}-{element.get('to', '').strip()}")
    return ((element.text or "").strip() or "an empty address",)

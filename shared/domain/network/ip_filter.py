"""The `ip-filter` policies of API Management (Microsoft: *Restrict caller IPs*).

Each filter by itself lets its addresses in and nobody else, or keeps them out and lets in the rest;
a caller has to pass all of them. A filter under a condition, or one whose addresses are
expressions or named values, settles nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction, unread_rules
from shared.domain.network.matching import as_prefixes


@dataclass(frozen=True, slots=True, kw_only=True)
class IpFilterPolicy:
    """What one policy document says about callers' addresses."""

    #: In order: the rules of each filter, and what becomes of others.
    filters: tuple[tuple[tuple[FirewallRule, ...], RuleAction], ...]
    #: Whether the policies of the scope above are applied too.
    has_base: bool


def read_policy(xml: str, name: str) -> IpFilterPolicy:
    """Return the filters of a policy document; `name` tells its scope in rules."""
    try:
        inbound = ET.fromstring(xml).find("inbound")  # noqa: S314 – expat bounds entities
    except ET.ParseError:
        unread = unread_rules(f"{name}: policy", "it is no XML")
        return IpFilterPolicy(filters=((unread, RuleAction.ALLOW),), has_base=True)
    if inbound is None:
        return IpFilterPolicy(filters=(), has_base=True)
    found = tuple(_filters(inbound, name, is_certain=True))
    return IpFilterPolicy(filters=found, has_base=inbound.find("base") is not None)


def firewall_from_filters(open_one: Firewall, policies: Iterable[IpFilterPolicy]) -> Firewall:
    """Return a firewall that lets in who passes the filters of all policies."""
    chain: Firewall | None = None
    for policy in policies:
        for rules, default in policy.filters:
            chain = replace(open_one, rules=rules, default=default, behind=chain)
    return chain or open_one


def _filters(
    element: ET.Element, name: str, *, is_certain: bool
) -> Iterator[tuple[tuple[FirewallRule, ...], RuleAction]]:
    for child in element:
        if child.tag == "ip-filter":
            yield _filter(child, name, is_certain=is_certain)
        else:
            # `choose` and its like: whether what is inside applies, only a call tells.
            yield from _filters(child, name, is_certain=False)


def _filter(
    element: ET.Element, name: str, *, is_certain: bool
) -> tuple[tuple[FirewallRule, ...], RuleAction]:
    action = element.get("action", "")
    sources = tuple(source for child in element for source in _sources(child))
    title = f"{name}: ip-filter {action}"
    if action not in {"allow", "forbid"}:
        return unread_rules(title, action), RuleAction.ALLOW
    is_allow = action == "allow"
    rule = FirewallRule(
        name=title,
        action=RuleAction.ALLOW if is_allow else RuleAction.DENY,
        sources=sources,
        is_certain=is_certain,
    )
    if not is_allow or is_certain:
        return (rule,), RuleAction.DENY if is_allow else RuleAction.ALLOW
    # Under a condition it may keep out all others, and need not.
    listed = replace(rule, is_certain=True)
    others = replace(rule, action=RuleAction.DENY, sources=("*",))
    return (listed, others), RuleAction.ALLOW


def _sources(element: ET.Element) -> tuple[str, ...]:
    if element.tag == "address-range":
        return as_prefixes(f"{element.get('from', '').strip()}-{element.get('to', '').strip()}")
    return ((element.text or "").strip() or "an empty address",)

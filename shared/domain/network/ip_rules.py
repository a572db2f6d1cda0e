"""Evaluate the IP rules that most Azure services have.

A service has one list of addresses without an order, and an action for all other addresses. The
list cannot contain service tags, and the service has no IPv6 address. See platform.md#ip-rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction, build_unread_rules
from shared.domain.network.matching import format_prefixes

type Document = Mapping[str, object]

#: All addresses of Azure, which services write as the address 0.0.0.0.
AZURE = "AzureCloud"
SERVER_OPENED_BY = "A server's firewall rules accept ranges of IPv4 addresses, but no service tags."
#: Most rules of an Event Hubs or Service Bus namespace.
MOST_RULES = 128
NAMESPACE_OPENED_BY = (
    f"A namespace accepts at most {MOST_RULES} IP rules, which are IPv4 prefixes and no "
    "service tags."
)


def build_open_firewall(
    kind: str, resource: Document, urls: Iterable[object], opened_by: str
) -> Firewall:
    """Return the firewall of a service, without rules, that allows all sources.

    `urls` are the endpoints of the service.
    """
    name = text_at(resource, "name") or ""
    return Firewall(
        kind=kind,
        id=text_at(resource, "id") or name,
        name=name,
        hosts=frozenset(_parse_hosts(urls)),
        rules=(),
        default=RuleAction.ALLOW,
        is_ipv4_only=True,
        how_to_open=opened_by,
    )


def build_firewall_with_ip_rules(
    open_one: Firewall, access: object, default: object, rules: object
) -> Firewall:
    """Return a service's firewall with its IP rules.

    `open_one` is the firewall without rules, which is returned if the service allows all addresses.
    `access` is the service's public access, `default` the action for addresses without a rule, and
    `rules` the list, whose entries have the address under one of several names. If `access` or
    `default` is missing, it means open, as in Azure.
    """
    if _is_equal_ignoring_case(access, "disabled"):
        return replace(open_one, default=RuleAction.DENY, denies_all_public_access=True)
    if not (access is None or _is_equal_ignoring_case(access, "enabled")):
        return replace(open_one, rules=build_unread_rules("publicNetworkAccess", access))
    if default is None or _is_equal_ignoring_case(default, "allow"):
        return open_one
    if not _is_equal_ignoring_case(default, "deny"):
        return replace(open_one, rules=build_unread_rules("defaultAction", default))
    if not isinstance(rules, list | None):
        return replace(
            open_one, default=RuleAction.DENY, rules=build_unread_rules("ipRules", rules)
        )
    allowed = tuple(_parse_ip_rule(as_mapping(rule)) for rule in rules or ())
    return replace(open_one, default=RuleAction.DENY, rules=allowed)


def build_allow_rule(name: str, *sources: str) -> FirewallRule:
    return FirewallRule(name=name, action=RuleAction.ALLOW, sources=sources)


def build_namespace_firewall(kind: str, resource: Document, rule_set: Document) -> Firewall:
    """Return the firewall of an Event Hubs or Service Bus namespace, from its default rule set.

    Other addresses are denied only if there is at least one rule (Microsoft: *Allow access from
    specific IP addresses*). If the default action is Deny but there are no rules, the result is
    uncertain.
    """
    shown = mapping_at(resource, "properties")
    properties = mapping_at(rule_set, "properties")
    listed, networks = properties.get("ipRules"), properties.get("virtualNetworkRules")
    firewall = build_firewall_with_ip_rules(
        build_open_firewall(kind, resource, [shown.get("serviceBusEndpoint")], NAMESPACE_OPENED_BY),
        properties.get("publicNetworkAccess", shown.get("publicNetworkAccess")),
        properties.get("defaultAction"),
        listed,
    )
    is_closed = firewall.default is RuleAction.DENY and not _is_equal_ignoring_case(
        properties.get("publicNetworkAccess"), "disabled"
    )
    if is_closed and not listed and not networks:
        anybody = replace(build_allow_rule("no rule at all", "*"), is_certain=False)
        return replace(firewall, rules=(anybody,))
    return firewall


def build_database_server_firewall(
    kind: str, server: Document, rules: Iterable[Document], access: object
) -> Firewall:
    """Return the firewall of a database server with its rules.

    A rule is a range of addresses, or 0.0.0.0 for all of Azure.
    """
    host = mapping_at(server, "properties").get("fullyQualifiedDomainName")
    open_one = build_open_firewall(kind, server, [host], SERVER_OPENED_BY)
    closed = build_firewall_with_ip_rules(open_one, access, "Deny", None)
    if closed.rules or _is_equal_ignoring_case(access, "disabled"):
        return closed
    return replace(closed, rules=tuple(_parse_range_rule(rule) for rule in rules))


def _parse_range_rule(rule: Document) -> FirewallRule:
    properties = mapping_at(rule, "properties")
    first, last = (str(properties.get(end)) for end in ("startIpAddress", "endIpAddress"))
    name = text_at(rule, "name") or first
    if first == last == "0.0.0.0":  # noqa: S104 – the service's name for all of Azure
        return build_allow_rule(name, AZURE)
    return build_allow_rule(name, *format_prefixes(f"{first}-{last}"))


def _parse_ip_rule(rule: Document) -> FirewallRule:
    written = (rule.get(name) for name in ("value", "ipMask", "ipAddressOrRange"))
    address = next((str(one) for one in written if one), "")
    return build_allow_rule(address, AZURE if address == "0.0.0.0" else address)  # noqa: S104


def _parse_hosts(urls: Iterable[object]) -> Iterable[str]:
    for url in urls:
        text = str(url or "")
        try:
            host = urlsplit(text if "//" in text else f"//{text}").hostname
        except ValueError:
            continue  # not an address
        if host and "<" not in host:  # a placeholder of a template
            yield host.lower()


def _is_equal_ignoring_case(value: object, wanted: str) -> bool:
    return isinstance(value, str) and value.lower() == wanted

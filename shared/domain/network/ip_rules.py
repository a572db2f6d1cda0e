"""Lists of addresses that a service lets in, as most services of Azure write them.

There is one list, no order, and an action for everybody else. Service tags cannot stand in it, and
what the service answers at has no IPv6 address.

See platform.md#ip-rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction, unread_rules
from shared.domain.network.matching import as_prefixes

type Document = Mapping[str, object]

#: Every address of Azure, where a service writes it as the address 0.0.0.0.
AZURE = "AzureCloud"
SERVER_OPENED_BY = "A server's firewall rules are ranges of IPv4 addresses, no service tags."
#: Rules that a namespace of Event Hubs or Service Bus takes.
MOST_RULES = 128
NAMESPACE_OPENED_BY = (
    f"A namespace's IP rules take IPv4 prefixes, no service tags; at most {MOST_RULES}."
)


def service(kind: str, resource: Document, urls: Iterable[object], opened_by: str) -> Firewall:
    """Return what stands before a service that lets everybody in; `urls` are its endpoints."""
    name = text_at(resource, "name") or ""
    return Firewall(
        kind=kind,
        id=text_at(resource, "id") or name,
        name=name,
        hosts=frozenset(_hosts(urls)),
        rules=(),
        default=RuleAction.ALLOW,
        is_ipv4_only=True,
        how_to_open=opened_by,
    )


def restricted(open_one: Firewall, access: object, default: object, rules: object) -> Firewall:
    """Return a service with its rules.

    `access` is its public access, `default` what becomes of others, `rules` the list: each of them
    with its address under one of several names. What is not written is as Azure makes it: open.
    """
    if _is(access, "disabled"):
        return replace(open_one, default=RuleAction.DENY, denies_all_public_access=True)
    if not (access is None or _is(access, "enabled")):
        return replace(open_one, rules=unread_rules("publicNetworkAccess", access))
    if default is None or _is(default, "allow"):
        return open_one
    if not _is(default, "deny"):
        return replace(open_one, rules=unread_rules("defaultAction", default))
    if not isinstance(rules, list | None):
        return replace(open_one, default=RuleAction.DENY, rules=unread_rules("ipRules", rules))
    allowed = tuple(_rule(as_mapping(rule)) for rule in rules or ())
    return replace(open_one, default=RuleAction.DENY, rules=allowed)


def allow(name: str, *sources: str) -> FirewallRule:
    """Return a rule that lets addresses in."""
    return FirewallRule(name=name, action=RuleAction.ALLOW, sources=sources)


def namespace(kind: str, resource: Document, rule_set: Document) -> Firewall:
    """Return a namespace of Event Hubs or Service Bus with its default rule set.

    Others are kept out as soon as there is one rule, and not before (Microsoft: *Allow access from
    specific IP addresses*): a default action alone is a doubt.
    """
    shown = mapping_at(resource, "properties")
    properties = mapping_at(rule_set, "properties")
    listed, networks = properties.get("ipRules"), properties.get("virtualNetworkRules")
    firewall = restricted(
        service(kind, resource, [shown.get("serviceBusEndpoint")], NAMESPACE_OPENED_BY),
        properties.get("publicNetworkAccess", shown.get("publicNetworkAccess")),
        properties.get("defaultAction"),
        listed,
    )
    is_closed = firewall.default is RuleAction.DENY and not _is(
        properties.get("publicNetworkAccess"), "disabled"
    )
    if is_closed and not listed and not networks:
        anybody = replace(allow("no rule at all", "*"), is_certain=False)
        return replace(firewall, rules=(anybody,))
    return firewall


def database_server(
    kind: str, server: Document, rules: Iterable[Document], access: object
) -> Firewall:
    """Return a database server with its rules: ranges, 0.0.0.0 alone for all of Azure."""
    host = mapping_at(server, "properties").get("fullyQualifiedDomainName")
    open_one = service(kind, server, [host], SERVER_OPENED_BY)
    closed = restricted(open_one, access, "Deny", None)
    if closed.rules or _is(access, "disabled"):
        return closed
    return replace(closed, rules=tuple(_between(rule) for rule in rules))


def _between(rule: Document) -> FirewallRule:
    properties = mapping_at(rule, "properties")
    first, last = (str(properties.get(end)) for end in ("startIpAddress", "endIpAddress"))
    name = text_at(rule, "name") or first
    if first == last == "0.0.0.0":  # noqa: S104 – what the service calls all of Azure
        return allow(name, AZURE)
    return allow(name, *as_prefixes(f"{first}-{last}"))


def _rule(rule: Document) -> FirewallRule:
    written = (rule.get(name) for name in ("value", "ipMask", "ipAddressOrRange"))
    address = next((str(one) for one in written if one), "")
    return allow(address, AZURE if address == "0.0.0.0" else address)  # noqa: S104


def _hosts(urls: Iterable[object]) -> Iterable[str]:
    for url in urls:
        text = str(url or "")
        try:
            host = urlsplit(text if "//" in text else f"//{text}").hostname
        except ValueError:
            continue  # no address
        if host and "<" not in host:  # not what only a deployment decides
            yield host.lower()


def _is(value: object, wanted: str) -> bool:
    return isinstance(value, str) and value.lower() == wanted

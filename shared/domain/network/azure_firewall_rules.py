"""Parse Azure Firewall's rules from Resource Manager documents, in the order in which they apply.

Rule collection groups are sorted by priority, those of a base policy before those of its child.
Collections are sorted by priority. Rules stay as listed (platform.md#firewall-resources). A classic
firewall has only collections.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.azure_firewall import TrafficDestination, TrafficRule
from shared.domain.network.firewall import FirewallRule, RuleAction, build_unread_rules
from shared.domain.network.matching import format_prefixes

type Document = Mapping[str, object]

_ACCESS = {"allow": RuleAction.ALLOW, "deny": RuleAction.DENY}


@dataclass(slots=True, kw_only=True)
class RuleReader:
    """Collects the rules of one firewall in the order in which they apply."""

    #: Addresses of IP groups by lower-case id.
    ip_groups: Mapping[str, Sequence[str]]
    nat: list[TrafficRule] = field(default_factory=list)
    network: list[TrafficRule] = field(default_factory=list)
    #: Placeholders for rules that cannot be read: they may allow or deny anything.
    unread: list[FirewallRule] = field(default_factory=list)
    #: By lower-case id of an IP group: group, collection and name of the rules that use it.
    users: dict[str, set[tuple[str, str, str]]] = field(default_factory=dict)

    def collect_classic_rules(self, firewall: Document) -> None:
        """Collect the rules of a classic firewall, which has no policy."""
        own = text_at(firewall, "name") or ""
        for member in ("natRuleCollections", "networkRuleCollections"):
            for collection in self._sort_by_priority(
                mapping_at(firewall, "properties"), member, own
            ):
                shown = mapping_at(collection, "properties")
                kind = "NatRule" if member.startswith("nat") else "NetworkRule"
                name = text_at(collection, "name") or member
                self._collect_rules(shown, kind, name, text_at(firewall, "id") or own)

    def collect_rule_groups(self, groups: Iterable[Document]) -> None:
        """Collect the rules in the rule collection groups of one policy.

        Call it for a base policy first.
        """
        for group in sorted(groups, key=lambda one: _parse_priority(mapping_at(one, "properties"))):
            properties = mapping_at(group, "properties")
            if "ruleCollections" not in properties and properties.get("rules"):
                # An older API version, which templates still use, has another format.
                self.collect_unread_rules(f"{text_at(group, 'name')}/rules", "older rules")
            own = text_at(group, "name") or ""
            for collection in self._sort_by_priority(properties, "ruleCollections", own):
                name = text_at(collection, "name") or own
                self._collect_rules(collection, None, name, text_at(group, "id") or own)

    def _sort_by_priority(self, properties: Document, member: str, owner: str) -> list[Document]:
        listed = properties.get(member)
        if not isinstance(listed, list | None):
            self.collect_unread_rules(f"{owner}/{member}", listed)
            return []
        return sorted(map(as_mapping, listed or ()), key=_get_priority)

    def _collect_rules(self, collection: Document, kind: str | None, name: str, place: str) -> None:
        listed = collection.get("rules")
        if not isinstance(listed, list | None):
            self.collect_unread_rules(f"{name}/rules", listed)
        action = (text_at(mapping_at(collection, "action"), "type") or "").lower()
        for rule in map(as_mapping, listed if isinstance(listed, list) else ()):
            rule_kind = kind or text_at(rule, "ruleType")
            self._collect_ip_group_users(rule, place, name)
            if rule_kind == "NatRule":
                found = self._parse_rule(
                    rule, RuleAction.ALLOW, _build_translated_destination(rule)
                )
                self.nat.append(replace(found, place=place, collection=name))
            elif rule_kind == "NetworkRule" and action in _ACCESS:
                found = self._parse_rule(rule, _ACCESS[action], None)
                self.network.append(replace(found, place=place, collection=name))
            elif rule_kind != "ApplicationRule":
                self.collect_unread_rules(f"{name}/{text_at(rule, 'name')}", action or rule_kind)

    def _parse_rule(
        self, rule: Document, access: RuleAction, translated: TrafficDestination | None
    ) -> TrafficRule:
        return TrafficRule(
            name=text_at(rule, "name") or "",
            access=access,
            sources=tuple(self._list_rule_addresses(rule, "source")),
            destinations=tuple(self._list_rule_addresses(rule, "destination")),
            ports=tuple(_list_texts(rule, "destinationPorts")),
            protocols=tuple(_list_texts(rule, "ipProtocols") or _list_texts(rule, "protocols")),
            translated=translated,
            ip_groups=tuple(map(str.lower, _list_texts(rule, "sourceIpGroups"))),
        )

    def _collect_ip_group_users(self, rule: Document, place: str, collection: str) -> None:
        for end in ("source", "destination"):
            for group_id in _list_texts(rule, f"{end}IpGroups"):
                user = (place, collection, text_at(rule, "name") or "")
                self.users.setdefault(group_id.lower(), set()).add(user)

    def _list_rule_addresses(self, rule: Document, end: str) -> Iterator[str]:
        for text in _list_texts(rule, f"{end}Addresses"):
            yield from format_prefixes(text)
        for group_id in _list_texts(rule, f"{end}IpGroups"):
            yield from self.ip_groups.get(group_id.lower(), (group_id,))
        if end == "destination":
            yield from _list_texts(rule, "destinationFqdns")

    def collect_unread_rules(self, name: str, text: object) -> None:
        """Record that some rules cannot be read, so that they may allow or deny anything."""
        self.unread += build_unread_rules(name, text)


def list_group_addresses(ip_group: Document) -> tuple[str, ...]:
    """Return the addresses of an IP group as prefixes."""
    listed = _list_texts(mapping_at(ip_group, "properties"), "ipAddresses")
    return tuple(prefix for text in listed for prefix in format_prefixes(text))


def _build_translated_destination(rule: Document) -> TrafficDestination:
    address = text_at(rule, "translatedAddress") or text_at(rule, "translatedFqdn") or ""
    port = str(rule.get("translatedPort", ""))
    return TrafficDestination(addresses=(address,), port=int(port) if port.isdecimal() else None)


def _get_priority(collection: Document) -> int:
    """Return a collection's priority, which a classic collection has in its properties."""
    return _parse_priority(
        collection if "priority" in collection else mapping_at(collection, "properties")
    )


def _parse_priority(properties: Document) -> int:
    written = str(properties.get("priority"))
    return int(written) if written.isdecimal() else 0


def _list_texts(document: Document, member: str) -> list[str]:
    """Return the texts in a list.

    If a template has an expression instead of the list, returns that.
    """
    listed = document.get(member)
    return [str(one) for one in (listed if isinstance(listed, list) else [listed]) if one]

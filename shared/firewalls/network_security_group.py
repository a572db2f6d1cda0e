"""Read the inbound HTTPS rules of network security groups.

The tag `cmkflow-hosts` lists the hosts behind a group (`api.contoso.com,*.shop.contoso.com`).
Without it, they are the public hosts of network interfaces to which, or to whose subnet, the group
is attached. For a group without hosts, see docs/network.md. See platform.md#firewall-resources.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.definitions.json_values import (
    as_mapping,
    mapping_at,
    objects_at,
    text_at,
)
from shared.domain.network.firewall import (
    Firewall,
    FirewallRule,
    RuleAction,
    build_unread_rules,
    list_tagged_hosts,
    parse_public_address,
)
from shared.domain.network.firewall_fix import (
    AddedEntries,
    FirewallFix,
    ListEntries,
    ListUpdate,
    build_rule_name,
    build_unavailable_fix,
    explain_full_list,
    explain_unknown_order,
    find_free_priority,
)
from shared.domain.network.firewall_fix_text import format_bicep_children, format_terraform
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.matching import (
    HTTPS,
    any_matches,
    includes_destinations,
    includes_every_destination,
    includes_port,
)
from shared.domain.network.security_rules import (
    build_security_rule,
    build_terraform_block,
    format_create_rule_command,
    format_existing_security_rule,
    format_security_rule,
)
from shared.domain.permissions import FIREWALL_GROUP, RequiredPermissions
from shared.errors import AlreadyExists, Conflict
from shared.firewalls.azure_resources import AzureResources
from shared.ports import ResourceWriter

RESOURCE_TYPE = "Microsoft.Network/networkSecurityGroups"
API_VERSION = "2023-09-01"
#: Lowest and highest priority of a rule, and most rules of a group.
_FIRST_PRIORITY, _LAST_PRIORITY, MOST = 100, 4096, 1000


class NetworkSecurityGroups(AzureResources):
    """The firewall kind of network security groups."""

    kind = "network_security_group"
    resource_type = RESOURCE_TYPE
    required_permissions = RequiredPermissions(
        fix=FIREWALL_GROUP,
        role="firewalls",
        resource_type="Microsoft.Network/networkSecurityGroups",
        actions=(
            "Microsoft.Network/networkSecurityGroups/securityRules/write",
            "Microsoft.Network/networkSecurityGroups/securityRules/delete",
        ),
    )

    async def read(self) -> list[Firewall]:
        listed = await self._list_resources("networkSecurityGroups")
        if not listed:
            return []
        addresses = await self._list_resources("publicIPAddresses")
        machines = list(
            _find_public_interfaces(await self._list_resources("networkInterfaces"), addresses)
        )
        return [firewall for resource in listed for firewall in parse_group(resource, machines)]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        group = await self._resources.get(issue.resource_id, API_VERSION)
        there = objects_at(mapping_at(group, "properties"), "securityRules")
        inbound = [rule for rule in there if _is_inbound(rule)]
        priorities = (
            (one.get("name"), mapping_at(one, "properties").get("priority")) for one in inbound
        )
        if no_fix_reason := explain_unknown_order(issue, priorities):
            return no_fix_reason
        denying = [_parse_priority(rule) for rule in inbound if rule.get("name") in issue.rules]
        taken = [_parse_priority(rule) for rule in inbound]
        before = min(denying, default=_LAST_PRIORITY + 1)
        named = {str(rule.get("name")).lower(): rule for rule in there}
        rules: dict[str, Mapping[str, object]] = {}
        for tag in issue.missing_tags:
            name = build_rule_name(tag, issue.part)
            same = named.get(name.lower())
            priority = (
                _parse_priority(same)
                if same
                else find_free_priority(taken, before, _FIRST_PRIORITY)
            )
            if priority is None:
                return build_unavailable_fix(
                    issue, f"priority_taken: no priority below {before} is free"
                )
            taken.append(priority)
            rules[name] = build_security_rule(tag, priority, issue.part)
            # A rule that already allows the tag was added after the issue was found.
            is_other = same and format_security_rule(
                name, rules[name]
            ) != format_existing_security_rule(same)
            if same and (is_other or priority > before):
                return build_unavailable_fix(
                    issue, f"name_taken: {issue.resource_name} has a different rule named {name}"
                )
        return explain_full_list(issue, len(there), len(rules), MOST) or FirewallFix(
            issue=issue.name,
            summary=(
                f"allow {', '.join(issue.missing_tags)} on {issue.resource_name}, each with a rule"
            ),
            azure_cli="\n".join(
                format_create_rule_command(issue, name, rule) for name, rule in rules.items()
            ),
            bicep=format_bicep_children(
                f"{RESOURCE_TYPE}/securityRules@{API_VERSION}", issue.resource_name, rules
            ),
            terraform=format_terraform(
                *(build_terraform_block(issue, name, rule) for name, rule in rules.items())
            ),
            added_entries=AddedEntries(
                resource_id=issue.resource_id,
                entries=tuple(format_security_rule(name, rule) for name, rule in rules.items()),
            ),
        )

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return the rules of a group, with only the members that the app writes."""
        group = await self._resources.get(opening.resource_id, API_VERSION)
        return _list_entries(group)

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Delete the rules in `change.remove`, and create those in `change.add`.

        A rule is not created if its name exists. A delete has no ETag, so the group is read again
        first.
        """
        group = await self._resources.get(opening.resource_id, API_VERSION)
        if _list_entries(group) != change.present:
            raise Conflict(f"{opening.resource_id} has changed")
        place = f"{opening.resource_id}/securityRules"
        for rule in map(as_mapping, map(json.loads, change.remove)):
            await writer.delete(f"{place}/{rule['name']}", API_VERSION)
        added: list[str] = []
        for text in change.add:
            rule = as_mapping(json.loads(text))
            body = {"properties": {key: value for key, value in rule.items() if key != "name"}}
            with suppress(AlreadyExists):  # another writer created the rule first, and owns it
                await writer.put(f"{place}/{rule['name']}", API_VERSION, body, etag=None)
                added.append(text)
        return added

    async def _list_resources(self, name: str) -> list[Mapping[str, object]]:
        return await self._resources.list(f"Microsoft.Network/{name}", API_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicNetworkInterface:
    """A network interface with a public address."""

    #: Its private address, which rules may name as their destination.
    address: str
    #: Its public address and host names.
    hosts: frozenset[str]
    #: Lower-case ids of the interface, its subnet and its group.
    places: frozenset[str]


def parse_group(
    resource: Mapping[str, object], machines: Sequence[PublicNetworkInterface] = ()
) -> list[Firewall]:
    """Return the firewalls of a group from Azure Resource Manager or a template.

    A group is one firewall if its tag lists hosts, or if its rules cannot be parsed. With hosts,
    rules for some destinations are uncertain. Any other group is a firewall for each destination
    that a rule names, for each of the `machines` behind it, and for all other destinations.
    """
    properties = mapping_at(resource, "properties")
    listed = [
        *objects_at(properties, "securityRules"),
        *objects_at(properties, "defaultSecurityRules"),
    ]
    inbound = [rule for rule in listed if _is_about_inbound_https(rule)]
    inbound.sort(key=_parse_priority)
    whole = _build_firewall(resource)
    written = properties.get("securityRules")
    if not isinstance(written, list | None):
        return [replace(whole, rules=build_unread_rules("securityRules", written))]
    if whole.hosts:
        rules = [_parse_rule(rule, is_whole=_has_any_destination(rule)) for rule in inbound]
        return [replace(whole, rules=tuple(rules))]
    narrow: dict[str, frozenset[str]] = {
        one: frozenset()
        for rule in inbound
        if not _has_any_destination(rule)
        for one in _list_destinations(rule)
    }
    members = [*objects_at(properties, "subnets"), *objects_at(properties, "networkInterfaces")]
    attached = {_get_id(resource), *map(_get_id, members)}
    narrow |= {one.address: one.hosts for one in machines if one.places & attached}
    return [
        replace(whole, rules=_select_rules_towards(None, inbound)),
        *(
            replace(
                whole,
                id=f"{whole.id}#{destination}",
                name=f"{whole.name} → {destination.rpartition('/applicationSecurityGroups/')[2]}",
                hosts=narrow[destination],
                rules=_select_rules_towards(destination, inbound),
            )
            for destination in sorted(narrow)
        ),
    ]


def _find_public_interfaces(
    interfaces: Iterable[Mapping[str, object]], addresses: Iterable[Mapping[str, object]]
) -> Iterator[PublicNetworkInterface]:
    hosts = {_get_id(one): parse_public_address(one)[1] for one in addresses}
    for interface in interfaces:
        for one in objects_at(mapping_at(interface, "properties"), "ipConfigurations"):
            properties = mapping_at(one, "properties")
            address = text_at(properties, "privateIPAddress")
            public = _get_id(mapping_at(properties, "publicIPAddress"))
            group = mapping_at(interface, "properties", "networkSecurityGroup")
            if address and hosts.get(public):
                places = {
                    _get_id(interface),
                    _get_id(mapping_at(properties, "subnet")),
                    _get_id(group),
                }
                yield PublicNetworkInterface(
                    address=address, hosts=hosts[public], places=frozenset(places - {""})
                )


def _list_entries(group: Mapping[str, object]) -> ListEntries:
    listed = objects_at(mapping_at(group, "properties"), "securityRules")
    return ListEntries(
        texts=frozenset(map(format_existing_security_rule, listed)),
        etag=text_at(group, "etag") or "*",
    )


def _is_inbound(rule: Mapping[str, object]) -> bool:
    return str(mapping_at(rule, "properties").get("direction")).lower() != "outbound"


def _parse_priority(rule: Mapping[str, object]) -> int:
    return _parse_number(mapping_at(rule, "properties").get("priority"))


def _get_id(resource: Mapping[str, object]) -> str:
    return (text_at(resource, "id") or "").lower()


def _build_firewall(resource: Mapping[str, object]) -> Firewall:
    name = text_at(resource, "name") or ""
    return Firewall(
        kind=NetworkSecurityGroups.kind,
        id=text_at(resource, "id") or name,
        name=name,
        hosts=list_tagged_hosts(as_mapping(resource.get("tags"))),
        rules=(),
        # Azure's last default rule denies; templates do not contain it.
        default=RuleAction.DENY,
    )


def _select_rules_towards(
    destination: str | None, inbound: Sequence[Mapping[str, object]]
) -> tuple[FirewallRule, ...]:
    """Return the rules that apply to a destination.

    None means all destinations that no rule names.
    """
    reaches = [(rule, _covers_destination(rule, destination)) for rule in inbound]
    return tuple(
        _parse_rule(rule, is_whole=bool(whole)) for rule, whole in reaches if whole is not False
    )


def _covers_destination(rule: Mapping[str, object], destination: str | None) -> bool | None:
    """Return whether a rule covers all of a destination.

    Returns None if the rule covers only a part of it, or the answer is unknown.
    """
    if _has_any_destination(rule):
        return True
    if destination is None:
        return False
    return any_matches(
        includes_destinations([one], [destination]) for one in _list_destinations(rule)
    )


def _parse_rule(rule: Mapping[str, object], *, is_whole: bool) -> FirewallRule:
    properties = mapping_at(rule, "properties")
    access = (text_at(properties, "access") or "").lower()
    source_ports = _list_property_texts(properties, "sourcePortRange", "sourcePortRanges")
    # Members of an application security group are inside the network, where no flow is. So a rule
    # with such a source has no source here and matches nothing.
    return FirewallRule(
        name=text_at(rule, "name") or "",
        action=RuleAction.ALLOW if access == "allow" else RuleAction.DENY,
        sources=tuple(
            _list_property_texts(properties, "sourceAddressPrefix", "sourceAddressPrefixes")
        ),
        is_certain=is_whole
        and (not source_ports or "*" in source_ports)
        and access in {"allow", "deny"}
        and _matches_https(properties) is True,
    )


def _list_destinations(rule: Mapping[str, object]) -> list[str]:
    properties = mapping_at(rule, "properties")
    groups = objects_at(properties, "destinationApplicationSecurityGroups")
    return _list_property_texts(
        properties, "destinationAddressPrefix", "destinationAddressPrefixes"
    ) + [text_at(group, "id") or "" for group in groups]


def _has_any_destination(rule: Mapping[str, object]) -> bool:
    listed = _list_destinations(rule)
    # The network itself is everything behind a group.
    return includes_every_destination(listed) or "virtualnetwork" in map(str.lower, listed)


def _is_about_inbound_https(rule: Mapping[str, object]) -> bool:
    properties = mapping_at(rule, "properties")
    direction = (text_at(properties, "direction") or "").lower()
    protocol = (text_at(properties, "protocol") or "*").lower()
    is_other_way = direction == "outbound"
    is_other_protocol = protocol in {"udp", "icmp", "esp", "ah"}
    return not (is_other_way or is_other_protocol or _matches_https(properties) is False)


def _matches_https(properties: Mapping[str, object]) -> bool | None:
    """Return whether a rule covers port 443, or None if that is unknown."""
    ports = _list_property_texts(properties, "destinationPortRange", "destinationPortRanges")
    return includes_port(ports, HTTPS)


def _list_property_texts(properties: Mapping[str, object], single: str, several: str) -> list[str]:
    listed = properties.get(several)
    values: list[object] = [properties.get(single)]
    # A template may have `[parameters('…')]` instead of a list.
    values += listed if isinstance(listed, list) else [listed]
    return [str(value) for value in values if value]


def _parse_number(priority: object) -> int:
    try:
        return int(str(priority))
    except ValueError:
        return 0  # computed by the template: count it as the first, to be safe

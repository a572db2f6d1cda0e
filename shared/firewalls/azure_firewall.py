"""Read Azure Firewall: its classic rules, or those of its policy.

A template may not say which firewall uses a policy, so such a policy is read without a firewall.
See platform.md#firewall-resources.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.definitions.json_values import (
    as_mapping,
    mapping_at,
    objects_at,
    text_at,
)
from shared.domain.network.azure_firewall import TrafficRule, split_firewall_by_target
from shared.domain.network.azure_firewall_fix import User, propose_azure_firewall_fix
from shared.domain.network.azure_firewall_rules import RuleReader, list_group_addresses
from shared.domain.network.firewall import (
    Firewall,
    RuleAction,
    list_tagged_hosts,
    parse_public_address,
)
from shared.domain.network.firewall_fix import AddedEntries, FirewallFix, ListEntries, ListUpdate
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.permissions import FIREWALL_GROUP, RequiredPermissions
from shared.errors import Conflict, NotFound
from shared.firewalls.azure_resources import AzureResources
from shared.ports import ResourceWriter

API_VERSION = "2023-09-01"
#: The published list gives the tag only the features API and NSG (platform.md#tag-features).
OPENED_BY = (
    "Microsoft's list does not publish every tag for Azure Firewall. Add these prefixes to an IP "
    "group, and use the group as a source."
)

type Document = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    policies: Mapping[str, Document]
    ip_groups: Mapping[str, Sequence[str]]
    #: Host names by public address.
    hosts: Mapping[str, frozenset[str]]
    route_tables: Sequence[Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    #: Each destination behind a firewall, with its rules.
    places: list[tuple[Firewall, tuple[TrafficRule, ...]]] = field(default_factory=list)
    #: By lower-case id: the rules that use an IP group, and the IP groups.
    users: dict[str, set[User]] = field(default_factory=dict)
    ip_groups: dict[str, Document] = field(default_factory=dict)


class AzureFirewalls(AzureResources):
    """The firewall kind of Azure Firewall."""

    kind = "azure_firewall"
    resource_type = "Microsoft.Network/azureFirewalls"
    required_permissions = RequiredPermissions(
        fix=FIREWALL_GROUP,
        role="firewalls",
        resource_type="Microsoft.Network/ipGroups",
        actions=("Microsoft.Network/ipGroups/write",),
    )

    async def read(self) -> list[Firewall]:
        """Return every firewall, once for each destination that requests reach through it."""
        return [one for one, _ in (await self._read_resources()).places]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        found = await self._read_resources()
        for one, rules in found.places:
            if one.id == issue.firewall_id:
                return propose_azure_firewall_fix(
                    issue, rules, found.users, found.ip_groups, API_VERSION
                )
        raise NotFound(f"{issue.firewall_name} no longer exists")

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return the addresses of an IP group."""
        group = await self._resources.get(opening.resource_id, API_VERSION)
        return ListEntries(
            texts=frozenset(map(json.dumps, _parse_ip_addresses(group))),
            etag=_get_group_version(group),
        )

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Replace all addresses of an IP group, because Azure cannot add or remove one alone."""
        group = await self._resources.get(opening.resource_id, API_VERSION)
        if _get_group_version(group) != change.present.etag:
            raise Conflict(f"{opening.resource_id} has changed")
        kept = [one for one in _parse_ip_addresses(group) if json.dumps(one) not in change.remove]
        body = {
            **{member: group[member] for member in ("location", "tags") if member in group},
            "properties": {"ipAddresses": [*kept, *map(json.loads, change.add)]},
        }
        etag = text_at(group, "etag") or "*"
        await writer.put(opening.resource_id, API_VERSION, body, etag=etag)
        return change.add

    async def _read_resources(self) -> _Found:
        found = _Found()
        listed = await self._list_resources("azureFirewalls")
        policies = {_get_id(one): one for one in await self._list_resources("firewallPolicies")}
        if not listed and not policies:
            return found
        found.ip_groups.update(
            {_get_id(one): one for one in await self._list_resources("ipGroups")}
        )
        context = _Context(
            policies=policies,
            ip_groups={key: list_group_addresses(one) for key, one in found.ip_groups.items()},
            hosts=dict(map(parse_public_address, await self._list_resources("publicIPAddresses"))),
            route_tables=await self._list_resources("routeTables"),
        )
        alone = [
            one
            for key, one in policies.items()
            if key not in _find_used_policy_ids(listed, policies)
        ]
        for resource in listed:
            policy_id = _get_policy_id(resource, "firewallPolicy")
            found.places.extend(
                await self._read_firewall(resource, policy_id, context, found.users)
            )
        for policy in alone:
            found.places.extend(
                await self._read_firewall(policy, _get_id(policy), context, found.users)
            )
        return found

    async def _read_firewall(
        self,
        resource: Document,
        policy_id: str,
        context: _Context,
        users: dict[str, set[User]],
    ) -> list[tuple[Firewall, tuple[TrafficRule, ...]]]:
        rules = RuleReader(ip_groups=context.ip_groups, users=users)
        if policy_id:
            async for groups in self._read_rule_collection_groups(policy_id, context, rules):
                rules.collect_rule_groups(groups)
        else:
            rules.collect_classic_rules(resource)
        name = text_at(resource, "name") or ""
        whole = Firewall(
            kind=self.kind,
            id=text_at(resource, "id") or name,
            name=name,
            hosts=list_tagged_hosts(as_mapping(resource.get("tags"))),
            rules=tuple(rules.unread),
            default=RuleAction.DENY,
            is_ipv4_only=True,
            how_to_open=OPENED_BY,
            protects=tuple(
                _find_routed_subnets(_find_private_address(resource), context.route_tables)
            ),
        )
        return split_firewall_by_target(whole, rules.nat, rules.network, context.hosts)

    async def _read_rule_collection_groups(
        self, policy_id: str, context: _Context, rules: RuleReader
    ) -> AsyncIterator[list[Document]]:
        chain: list[str] = []
        while policy_id and policy_id not in chain:
            chain.insert(0, policy_id)
            policy_id = _get_policy_id(context.policies.get(policy_id, {}), "basePolicy")
        for one in chain:
            if one not in context.policies:
                rules.collect_unread_rules(one, "a policy that cannot be read")
                continue
            try:
                yield await self._resources.list_children(one, "ruleCollectionGroups", API_VERSION)
            except NotFound:
                rules.collect_unread_rules(one, "rule collection groups that do not exist")

    async def _list_resources(self, name: str) -> list[Document]:
        return await self._resources.list(f"Microsoft.Network/{name}", API_VERSION)


def _parse_ip_addresses(group: Document) -> list[str]:
    listed = mapping_at(group, "properties").get("ipAddresses")
    return [*map(str, listed)] if isinstance(listed, list) else []


def _get_group_version(group: Document) -> str:
    """Return a value that changes when the group's addresses change."""
    return text_at(group, "etag") or json.dumps(_parse_ip_addresses(group))


def _get_id(resource: Document) -> str:
    return (text_at(resource, "id") or "").lower()


def _get_policy_id(resource: Document, member: str) -> str:
    return _get_id(mapping_at(resource, "properties", member))


def _find_used_policy_ids(listed: Sequence[Document], policies: Mapping[str, Document]) -> set[str]:
    """Return the ids of the policies that are not read without a firewall.

    These are the policies that a firewall or another policy names, and those with a list of their
    firewalls.
    """
    used = {_get_policy_id(one, "firewallPolicy") for one in listed}
    used |= {_get_policy_id(one, "basePolicy") for one in policies.values()}
    listed_by_azure = (
        key for key, one in policies.items() if "firewalls" in mapping_at(one, "properties")
    )
    return used | {*listed_by_azure}


def _find_private_address(firewall: Document) -> str | None:
    properties = mapping_at(firewall, "properties")
    listed = properties.get("ipConfigurations")
    for configuration in listed if isinstance(listed, list) else ():
        address = text_at(mapping_at(as_mapping(configuration), "properties"), "privateIPAddress")
        if address:
            return address
    return text_at(mapping_at(properties, "hubIPAddresses"), "privateIPAddress")


def _find_routed_subnets(address: str | None, route_tables: Sequence[Document]) -> Iterator[str]:
    """Yield `network/subnet` for each subnet with a route whose next hop is the address."""
    for table in route_tables:
        properties = mapping_at(table, "properties")
        hops = (
            text_at(mapping_at(route, "properties"), "nextHopIpAddress")
            for route in objects_at(properties, "routes")
        )
        if address and address in hops:
            for subnet in objects_at(properties, "subnets"):
                network, _, name = (text_at(subnet, "id") or "").rpartition("/subnets/")
                yield f"{network.rpartition('/')[2]}/{name}"

"""Reads Azure Firewall, with rules of its own or those of a policy (contract §9.4).

A policy by itself is read where nobody can tell whose it is: a template need not say.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.azure_firewall import split_by_target
from shared.domain.network.azure_firewall_rules import RuleReader, members_of
from shared.domain.network.firewall import Access, Firewall, public_address, tagged_hosts
from shared.errors import NotFound
from shared.ports import ResourceReader

API_VERSION = "2023-09-01"
#: The published list gives the tag the features API and NSG alone (contract §9.3).
OPENED_BY = (
    "Sources of Azure Firewall's rules are addresses: put these prefixes into an IP group and name"
    " it as a source. PowerPlatformPlex is not published for Azure Firewall (no feature FW)."
)

type Document = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """What the rules of any firewall may name, and what leads to it."""

    policies: Mapping[str, Document]
    ip_groups: Mapping[str, Sequence[str]]
    #: Names by public address.
    hosts: Mapping[str, frozenset[str]]
    route_tables: Sequence[Document]


class AzureFirewalls:
    """Implements `FirewallKind`."""

    kind = "azure_firewall"
    resource_type = "Microsoft.Network/azureFirewalls"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every firewall, one for each place that callers reach through it."""
        listed = await self._list("azureFirewalls")
        policies = {_id(one): one for one in await self._list("firewallPolicies")}
        if not listed and not policies:
            return []
        around = _Surroundings(
            policies=policies,
            ip_groups={_id(one): members_of(one) for one in await self._list("ipGroups")},
            hosts=dict(map(public_address, await self._list("publicIPAddresses"))),
            route_tables=await self._list("routeTables"),
        )
        alone = [one for key, one in policies.items() if key not in _used(listed, policies)]
        found: list[Firewall] = []
        for resource in listed:
            found += await self._read_one(resource, _policy_id(resource, "firewallPolicy"), around)
        for policy in alone:
            found += await self._read_one(policy, _id(policy), around)
        return found

    async def _read_one(
        self, resource: Document, policy_id: str, around: _Surroundings
    ) -> list[Firewall]:
        rules = RuleReader(ip_groups=around.ip_groups)
        if policy_id:
            async for groups in self._groups(policy_id, around, rules):
                rules.read_groups(groups)
        else:
            rules.read_classic(resource)
        name = text_at(resource, "name") or ""
        whole = Firewall(
            kind=self.kind,
            id=text_at(resource, "id") or name,
            name=name,
            hosts=tagged_hosts(as_mapping(resource.get("tags"))),
            rules=tuple(rules.unread),
            default=Access.DENY,
            is_ipv4_only=True,
            opened_by=OPENED_BY,
            guards=tuple(_guarded(_private_address(resource), around.route_tables)),
        )
        return split_by_target(whole, rules.nat, rules.network, around.hosts)

    async def _groups(
        self, policy_id: str, around: _Surroundings, rules: RuleReader
    ) -> AsyncIterator[list[Document]]:
        """Yield the rule collection groups of a policy, those of the policies it inherits first."""
        chain: list[str] = []
        while policy_id and policy_id not in chain:
            chain.insert(0, policy_id)
            policy_id = _policy_id(around.policies.get(policy_id, {}), "basePolicy")
        for one in chain:
            if one not in around.policies:
                rules.leave_unread(one, "a policy that cannot be read")
                continue
            try:
                yield await self._resources.below(one, "ruleCollectionGroups", API_VERSION)
            except NotFound:
                rules.leave_unread(one, "groups that are not there")

    async def _list(self, name: str) -> list[Document]:
        return await self._resources.list(f"Microsoft.Network/{name}", API_VERSION)


def _id(resource: Document) -> str:
    return (text_at(resource, "id") or "").lower()


def _policy_id(resource: Document, member: str) -> str:
    return _id(mapping_at(resource, "properties", member))


def _used(listed: Sequence[Document], policies: Mapping[str, Document]) -> set[str]:
    """Return the policies that firewalls and other policies have, and those that Azure tells of."""
    used = {_policy_id(one, "firewallPolicy") for one in listed}
    used |= {_policy_id(one, "basePolicy") for one in policies.values()}
    told = (key for key, one in policies.items() if "firewalls" in mapping_at(one, "properties"))
    return used | {*told}


def _private_address(firewall: Document) -> str | None:
    properties = mapping_at(firewall, "properties")
    listed = properties.get("ipConfigurations")
    for configuration in listed if isinstance(listed, list) else ():
        address = text_at(mapping_at(as_mapping(configuration), "properties"), "privateIPAddress")
        if address:
            return address
    return text_at(mapping_at(properties, "hubIPAddresses"), "privateIPAddress")


def _guarded(address: str | None, route_tables: Sequence[Document]) -> Iterator[str]:
    """Yield the subnets, as `network/subnet`, whose routes lead to an address."""
    for table in route_tables:
        properties = mapping_at(table, "properties")
        hops = (
            text_at(mapping_at(route, "properties"), "nextHopIpAddress")
            for route in _objects(properties, "routes")
        )
        if address and address in hops:
            for subnet in _objects(properties, "subnets"):
                network, _, name = (text_at(subnet, "id") or "").rpartition("/subnets/")
                yield f"{network.rpartition('/')[2]}/{name}"


def _objects(properties: Document, member: str) -> list[Document]:
    listed = properties.get(member)
    return [as_mapping(one) for one in listed] if isinstance(listed, list) else []

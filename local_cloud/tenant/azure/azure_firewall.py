"""Evaluate an Azure Firewall for a call to one of its public addresses.

A DNAT rule allows the source addresses that it matches, whatever its priority; no other rule allows
any. A network rule that denies the translated traffic wins: older versions of Microsoft's page say
so, newer ones say that it has no effect, and the tenant uses the stricter behaviour. A source is an
address, a range or an IP group, but not a service tag. See platform.md#firewall-resources.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from local_cloud.tenant.azure.addresses import Ranges, merge_ranges, parse_ranges, subtract_ranges
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure

_NETWORK = "Microsoft.Network"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedHost:
    firewall_id: str
    refused: Ranges
    let_in: Ranges


def find_published_hosts(azure: Azure, host: str, port: int) -> Iterator[PublishedHost]:
    """Yield each Azure Firewall in front of a host, and which sources it allows or denies."""
    for address in azure.resources.list_of_type(f"{_NETWORK}/publicIPAddresses"):
        properties = address["properties"]
        name = str(properties.get("dnsSettings", {}).get("fqdn", "")).lower()
        if host not in (name, properties.get("ipAddress")):
            continue
        for firewall in azure.resources.list_of_type(f"{_NETWORK}/azureFirewalls"):
            if address["id"].lower() in _list_public_ids(firewall):
                yield _build_published_host(azure, firewall, properties["ipAddress"], port)


def _build_published_host(
    azure: Azure, firewall: JsonObject, address: str, port: int
) -> PublishedHost:
    let_in: list[Ranges] = []
    machines: list[tuple[str, int]] = []
    rules = list(_list_rules(azure, firewall))
    for action, rule in rules:
        if action == "dnat" and _is_traffic_matched(azure, rule, address, port):
            let_in.append(_read_addresses(azure, rule, "source"))
            machines.append((rule.get("translatedAddress", ""), int(rule["translatedPort"])))
    refused = [
        _read_addresses(azure, rule, "source")
        for action, rule in rules
        if action == "deny"
        and any(_is_traffic_matched(azure, rule, *machine) for machine in machines)
    ]
    return PublishedHost(
        firewall_id=firewall["id"], refused=_join_ranges(refused), let_in=_join_ranges(let_in)
    )


def _list_rules(azure: Azure, firewall: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the action and the document of each rule.

    The rules are those of the firewall itself, its policy and the policy's parents.
    """
    properties = firewall["properties"]
    for member in ("natRuleCollections", "networkRuleCollections"):
        for collection in properties.get(member, ()):
            yield from _list_rules_of_collection(collection["properties"])
    policy_id = _read_id(properties.get("firewallPolicy"))
    while policy_id:
        for group in azure.resources.list_of_type(
            f"{_NETWORK}/firewallPolicies/ruleCollectionGroups"
        ):
            if group["id"].lower().startswith(f"{policy_id}/"):
                for collection in group["properties"].get("ruleCollections", ()):
                    yield from _list_rules_of_collection(collection)
        policy = azure.resources.find(f"{_NETWORK}/firewallPolicies", policy_id)
        policy_id = _read_id(policy["properties"].get("basePolicy")) if policy else ""


def _list_rules_of_collection(collection: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    action = str(collection["action"]["type"]).lower()
    for rule in collection.get("rules", ()):
        if rule.get("ruleType") != "ApplicationRule":
            yield action, rule


def _is_traffic_matched(azure: Azure, rule: JsonObject, address: str, port: int) -> bool:
    protocols = {one.lower() for one in rule.get("ipProtocols") or rule.get("protocols", ())}
    ports = (one.partition("-") for one in rule.get("destinationPorts", ()))
    return bool(
        protocols & {"tcp", "any"}
        and any(
            first == "*" or int(first) <= port <= int(last or first) for first, _, last in ports
        )
        and not subtract_ranges(
            parse_ranges([address]), _read_addresses(azure, rule, "destination")
        )
    )


def _has_port(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    return first == "*" or int(first) <= port <= int(last or first)


def _read_addresses(azure: Azure, rule: JsonObject, end: str) -> Ranges:
    texts = list(rule.get(f"{end}Addresses") or ())
    for group_id in rule.get(f"{end}IpGroups") or ():
        group = azure.resources.find(f"{_NETWORK}/ipGroups", group_id)
        texts += group["properties"]["ipAddresses"] if group else ()
    return _join_ranges([_parse_range(text) for text in texts])


def _parse_range(text: str) -> Ranges:
    first, _, last = text.partition("-")
    if text == "*":
        return parse_ranges(["0.0.0.0/0"])
    if not first[:1].isdecimal():
        return ()
    [(begin, end)] = parse_ranges([first])
    return ((begin, parse_ranges([last])[0][1] if last else end),)


def _join_ranges(parts: list[Ranges]) -> Ranges:
    return merge_ranges(one for part in parts for one in part)


def _list_public_ids(firewall: JsonObject) -> set[str]:
    configurations = firewall["properties"].get("ipConfigurations", ())
    return {_read_id(one["properties"].get("publicIPAddress")) for one in configurations}


def _read_id(reference: JsonObject | None) -> str:
    return str((reference or {}).get("id", "")).lower()

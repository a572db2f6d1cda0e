"""Evaluate the lists of allowed addresses that services such as storage accounts have.

See platform.md#ip-rules.
"""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from local_cloud.tenant.azure.addresses import (
    EVERY_ADDRESS,
    Ranges,
    merge_ranges,
    parse_ranges,
    subtract_ranges,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import VAULTS, Azure

#: How these services write every address of Azure: flows are among them.
AZURE = "0.0.0.0"

type _LetIn = Callable[[Azure, JsonObject, str], Ranges]


def find_ip_lists(azure: Azure, host: str, region: str) -> Iterator[tuple[str, Ranges]]:
    """Yield each service at a host, and the addresses that it allows to flows of a region."""
    for kind, (member, let_in) in _SERVICES.items():
        for one in find_resources_at(azure, host, kind, member):
            yield one["id"], let_in(azure, one, region)


def find_resources_at(
    azure: Azure, host: str, resource_type: str, member: str
) -> Iterator[JsonObject]:
    """Yield each resource of a type with an endpoint at a host, in its property `member`."""
    for one in azure.resources.list_of_type(resource_type):
        if host in _list_hosts(one["properties"].get(member)):
            yield one


def is_address_allowed(resource: JsonObject, address: str) -> bool:
    return not subtract_ranges(parse_ranges([address]), list_acl_ranges(resource))


def _list_vault_ranges(_: Azure, vault: JsonObject, __: str) -> Ranges:
    return list_acl_ranges(vault)


def _get_account_ranges(_: Azure, account: JsonObject, region: str) -> Ranges:
    """Return the addresses that a storage account allows.

    Calls from the account's own region have private addresses, which no rule can contain.
    """
    allowed = list_acl_ranges(account)
    is_own = account.get("location", "").replace(" ", "").lower() == region.lower()
    return () if is_own and allowed != EVERY_ADDRESS else allowed


def _list_namespace_ranges(azure: Azure, namespace: JsonObject, _: str) -> Ranges:
    kind, rules_id = namespace["type"], f"{namespace['id']}/networkRuleSets/default"
    rules = azure.resources.find(f"{kind}/networkRuleSets", rules_id)
    return _list_ranges(rules["properties"] if rules else {}, "ipMask")


def list_acl_ranges(resource: JsonObject) -> Ranges:
    properties = resource["properties"]
    if is_off(properties):
        return ()
    return _list_ranges(properties.get("networkAcls") or {}, "value")


def _list_ranges(rules: JsonObject, member: str) -> Ranges:
    if is_off(rules):
        return ()
    if str(rules.get("defaultAction", "Allow")).lower() == "allow":
        return EVERY_ADDRESS
    return parse_ranges(rule[member] for rule in rules.get("ipRules") or ())


def _list_server_ranges(azure: Azure, server: JsonObject, _: str) -> Ranges:
    if is_off(server["properties"]) or is_off(server["properties"].get("network") or {}):
        return ()
    start = f"{server['id']}/".lower()
    rules = [
        rule["properties"]
        for rule in azure.resources.list_of_type(f"{server['type']}/firewallRules")
        if rule["id"].lower().startswith(start)
    ]
    ends = [(rule["startIpAddress"], rule["endIpAddress"]) for rule in rules]
    if (AZURE, AZURE) in ends:
        return EVERY_ADDRESS
    return merge_ranges((parse_ranges([a])[0][0], parse_ranges([b])[0][1]) for a, b in ends)


def is_off(properties: JsonObject) -> bool:
    """Return whether a resource denies all public addresses."""
    return str(properties.get("publicNetworkAccess")).lower() == "disabled"


def _list_hosts(endpoints: str | dict[str, str] | None) -> set[str]:
    urls = endpoints.values() if isinstance(endpoints, dict) else [endpoints or ""]
    return {(urlsplit(url if "//" in url else f"//{url}").hostname or "").lower() for url in urls}


#: By type: the member that holds its endpoints, and whom it lets in.
_SERVICES: dict[str, tuple[str, _LetIn]] = {
    VAULTS: ("vaultUri", _list_vault_ranges),
    "Microsoft.Storage/storageAccounts": ("primaryEndpoints", _get_account_ranges),
    "Microsoft.Sql/servers": ("fullyQualifiedDomainName", _list_server_ranges),
    "Microsoft.DBforPostgreSQL/flexibleServers": ("fullyQualifiedDomainName", _list_server_ranges),
    "Microsoft.DBforPostgreSQL/servers": ("fullyQualifiedDomainName", _list_server_ranges),
    "Microsoft.ServiceBus/namespaces": ("serviceBusEndpoint", _list_namespace_ranges),
    "Microsoft.EventHub/namespaces": ("serviceBusEndpoint", _list_namespace_ranges),
}

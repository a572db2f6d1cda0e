"""Serve the writes of services with IP rules, of topics, and of action groups.

The app only reads most of them; the Azure CLI and portals write them. The tenant checks some
members of each write as the service does, and stores all others unchanged.
"""

import uuid
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import (
    HOST,
    SUBSCRIPTION,
    ArmCall,
    ArmHandler,
    build_arm_route,
    build_collection_path,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import VAULTS
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

TOPICS = "Microsoft.EventGrid/topics"
_STORAGE = "Microsoft.Storage/storageAccounts"
_COSMOS = "Microsoft.DocumentDB/databaseAccounts"
_POSTGRESQL = "Microsoft.DBforPostgreSQL"

#: Name in route names → resource type and the methods that write it.
_WRITABLE = {
    "action_group": ("Microsoft.Insights/actionGroups", ("PUT",)),
    "topic": (TOPICS, ("PUT",)),
    "vault": (VAULTS, ("PUT", "PATCH")),
    "storage_account": (_STORAGE, ("PUT", "PATCH")),
    "cosmos_account": (_COSMOS, ("PATCH",)),
    "sql_firewall_rule": ("Microsoft.Sql/servers/firewallRules", ("PUT",)),
    "postgresql_firewall_rule": (f"{_POSTGRESQL}/flexibleServers/firewallRules", ("PUT",)),
    "older_postgresql_firewall_rule": (f"{_POSTGRESQL}/servers/firewallRules", ("PUT",)),
    "service_bus_rule_set": ("Microsoft.ServiceBus/namespaces/networkRuleSets", ("PUT",)),
    "event_hubs_rule_set": ("Microsoft.EventHub/namespaces/networkRuleSets", ("PUT",)),
}
#: Properties that these always show, whether or not a seed names them.
_DEFAULTS: Mapping[str, JsonObject] = {
    _COSMOS: {
        "consistencyPolicy": {
            "defaultConsistencyLevel": "Session",
            "maxIntervalInSeconds": 5,
            "maxStalenessPrefix": 100,
        }
    },
    f"{_POSTGRESQL}/flexibleServers": {"network": {"publicNetworkAccess": "Enabled"}},
}
#: Types without parents that a PUT creates here.
_CREATED = (TOPICS,)
#: Types whose clients accept 202 alone, and then ask whether the operation succeeded.
_ANSWERED_LATER = (f"{_POSTGRESQL}/flexibleServers/firewallRules",)
_OPERATIONS = "locations/westeurope/azureAsyncOperation"
_MOST_STORAGE_RULES = 400
#: RFC 1918: an account takes public addresses only.
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_MOST_VAULT_RULES = 1000
_LONGEST_STORAGE_PREFIX = 30


def build_routes() -> list[Route]:
    found: list[Route] = []
    for name, (resource_type, methods) in _WRITABLE.items():
        path = f"{build_collection_path(resource_type)}/{{name}}"
        found += [
            build_arm_route(method, path, _write_handler(name, resource_type, method))
            for method in methods
        ]
    for namespace in sorted({one.partition("/")[0] for one in _ANSWERED_LATER}):
        path = f"{SUBSCRIPTION}/providers/{namespace}/{_OPERATIONS}/{{operation}}"
        found.append(build_arm_route("GET", path, get_operation))
    return found


async def get_operation(call: ArmCall) -> JsonObject:
    """Return the state of an earlier write that was answered with 202: it has always succeeded."""
    return {"name": call.get_path_part("operation"), "status": "Succeeded"}


def _build_accepted_response(call: ArmCall, resource_type: str) -> Response:
    namespace, operation = resource_type.partition("/")[0], uuid.uuid4()
    path = f"subscriptions/{call.get_path_part('subscription')}/providers/{namespace}/{_OPERATIONS}"
    version = call.request.query_params["api-version"]
    url = f"https://{HOST}/{path}/{operation}?api-version={version}"
    return Response(status_code=202, headers={"Azure-AsyncOperation": url, "Retry-After": "1"})


def with_defaults(document: JsonObject) -> JsonObject:
    """Return the document of a seed, with the properties that its type always has."""
    properties = _DEFAULTS.get(document["type"], {}) | document.get("properties", {})
    return document | {"properties": properties}


def _write_handler(name: str, resource_type: str, method: str) -> ArmHandler:
    async def write_resource(call: ArmCall) -> Response:
        names = call.list_path_names()
        is_child = len(names) > 1
        if is_child:
            call.get_existing(resource_type.rpartition("/")[0], *names[:-1])
        identity = call.build_resource_id(resource_type, *names)
        there = call.azure.resources.find(resource_type, identity)
        if there is None and not is_child and resource_type not in _CREATED:
            # Creating one takes much more than IP rules.
            there = call.get_existing(resource_type, *names)
        body = await call.read_json()
        document = _build_written_resource(
            there, body, identity, resource_type, is_patch=method == "PATCH"
        )
        if check := _CHECKS.get(resource_type):
            check(document)
        call.azure.resources.put(document)
        if resource_type in _ANSWERED_LATER:
            return _build_accepted_response(call, resource_type)
        return JSONResponse(document, 200 if there else 201)

    write_resource.__name__ = f"{'update' if method == 'PATCH' else 'put'}_{name}"
    return write_resource


def _build_written_resource(
    there: JsonObject | None, body: JsonObject, identity: str, resource_type: str, *, is_patch: bool
) -> JsonObject:
    """Return a resource after a write; a PATCH keeps members that the body omits."""
    properties = body.get("properties", {})
    if not isinstance(properties, dict):
        raise SimulatedPlatformError(400, "InvalidRequestContent", "'properties' is not an object.")
    if there is None:
        there = {"id": identity, "name": identity.rpartition("/")[2], "type": resource_type}
    kept = there.get("properties", {}) if is_patch else {}
    given = {key: body[key] for key in ("location", "tags", "identity") if key in body}
    # Endpoints are the service's own: a PUT that leaves them out does not take them away.
    own = {key: value for key, value in there.get("properties", {}).items() if "ndpoint" in key}
    if not is_patch:
        there = {key: value for key, value in there.items() if key not in ("tags", "identity")}
    return there | given | {"properties": own | kept | properties}


def _add_endpoint(document: JsonObject) -> None:
    """Add the address at which a topic receives events."""
    region = str(document.get("location", "westeurope")).replace(" ", "").lower()
    host = f"{document['name']}.{region}-1.eventgrid.azure.net"
    document["properties"] |= {
        "endpoint": f"https://{host}/api/events",
        "provisioningState": "Succeeded",
    }


def _require_valid_range(document: JsonObject) -> None:
    properties = document["properties"]
    try:
        first, last = (IPv4Address(properties[f"{end}IpAddress"]) for end in ("start", "end"))
    except (KeyError, AddressValueError) as error:
        raise _build_invalid_error(
            "startIpAddress and endIpAddress must be IPv4 addresses."
        ) from error
    if first > last:
        raise _build_invalid_error(f"The start address {first} is after the end address {last}.")


def _require_valid_storage_rules(document: JsonObject) -> None:
    rules = _read_ip_rules(document)
    networks = [_parse_network(rule.get("value")) for rule in rules]
    too_long = [
        one
        for one, rule in zip(networks, rules, strict=True)
        if "/" in str(rule["value"]) and one.prefixlen > _LONGEST_STORAGE_PREFIX
    ]
    if too_long or len(rules) > _MOST_STORAGE_RULES or any(map(_is_private, networks)):
        text = "Values for request parameters are invalid: networkAcls.ipRule[*].value."
        raise SimulatedPlatformError(400, "InvalidValuesForRequestParameters", text)


def _is_private(network: IPv4Network) -> bool:
    return any(network.overlaps(private) for private in _PRIVATE)


def _require_valid_vault_rules(document: JsonObject) -> None:
    """Reject too many IP rules, and store each one as a prefix, as Key Vault does."""
    rules = _read_ip_rules(document)
    if len(rules) > _MOST_VAULT_RULES:
        raise _build_invalid_error(f"A vault has at most {_MOST_VAULT_RULES} IP rules.")
    for rule in rules:
        rule["value"] = str(_parse_network(rule.get("value")))


def _require_valid_cosmos_rules(document: JsonObject) -> None:
    for rule in document["properties"].get("ipRules") or ():
        _parse_network(rule.get("ipAddressOrRange"))


def _require_valid_rule_set(document: JsonObject) -> None:
    for rule in document["properties"].get("ipRules") or ():
        _parse_network(rule.get("ipMask"))


def _read_ip_rules(document: JsonObject) -> list[JsonObject]:
    rules: list[JsonObject] = (document["properties"].get("networkAcls") or {}).get("ipRules") or []
    return rules


def _parse_network(text: object) -> IPv4Network:
    try:
        return IPv4Network(str(text))
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _build_invalid_error(
            f"'{text}' is neither an IPv4 address nor an IPv4 prefix."
        ) from error


def _build_invalid_error(text: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(400, "InvalidParameterValue", text)


_CHECKS: Mapping[str, Callable[[JsonObject], None]] = {
    TOPICS: _add_endpoint,
    VAULTS: _require_valid_vault_rules,
    _STORAGE: _require_valid_storage_rules,
    _COSMOS: _require_valid_cosmos_rules,
    **dict.fromkeys(
        (
            "Microsoft.Sql/servers/firewallRules",
            f"{_POSTGRESQL}/flexibleServers/firewallRules",
            f"{_POSTGRESQL}/servers/firewallRules",
        ),
        _require_valid_range,
    ),
    **dict.fromkeys(
        (
            "Microsoft.ServiceBus/namespaces/networkRuleSets",
            "Microsoft.EventHub/namespaces/networkRuleSets",
        ),
        _require_valid_rule_set,
    ),
}

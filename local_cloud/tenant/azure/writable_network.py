"""Serve resources of `Microsoft.Network` that are created, replaced and deleted as a whole.

Each has an ETag. A write may name the ETag that it replaces, or `If-None-Match: *` to create a
resource (README.md lists what is unknown about this). The tenant gives a firewall its private
address, and a security group its default rules.
"""

import hashlib
import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import (
    ArmCall,
    ArmHandler,
    build_arm_route,
    build_collection_path,
)
from local_cloud.tenant.azure.network import build_security_group
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import SECURITY_GROUPS, Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_NETWORK = "Microsoft.Network"
#: What one is called in route names → resource type.
_WRITABLE = {
    "network_security_group": SECURITY_GROUPS,
    "azure_firewall": f"{_NETWORK}/azureFirewalls",
    "firewall_policy": f"{_NETWORK}/firewallPolicies",
    "rule_collection_group": f"{_NETWORK}/firewallPolicies/ruleCollectionGroups",
    "ip_group": f"{_NETWORK}/ipGroups",
    "public_ip_address": f"{_NETWORK}/publicIPAddresses",
    "route_table": f"{_NETWORK}/routeTables",
}
#: Addresses, ranges and prefixes that an IP group takes.
_MOST_MEMBERS = 5000
_PRIVATE_ADDRESS = "10.0.0.4"


def build_routes() -> list[Route]:
    found: list[Route] = []
    for name, resource_type in _WRITABLE.items():
        path = f"{build_collection_path(resource_type)}/{{name}}"
        found.append(build_arm_route("PUT", path, _put_handler(name, resource_type)))
        found.append(build_arm_route("DELETE", path, _delete_handler(name, resource_type)))
    return found


def build_shown_resource(azure: Azure, document: JsonObject) -> JsonObject:
    """Return a resource for a read. Resources of `Microsoft.Network` have an ETag.

    An IP group also names the firewalls and firewall policies that use it.
    """
    if not document["type"].lower().startswith(f"{_NETWORK.lower()}/"):
        return document
    if document["type"].lower() == f"{_NETWORK}/ipGroups".lower():
        properties = document["properties"] | _find_users(azure, document["id"])
        document = document | {"properties": properties}
    return document | {"etag": compute_etag(document)}


def compute_etag(document: JsonObject) -> str:
    content = {key: value for key, value in document.items() if key != "etag"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def require_etag(request: Request, there: JsonObject | None) -> None:
    """Reject (412) a write that names another ETag, or creates an existing resource."""
    wanted = request.headers.get("If-Match", "*")
    if request.headers.get("If-None-Match") == "*" and there is not None:
        raise _build_etag_error()
    if wanted != "*" and (there is None or wanted != there["etag"]):
        raise _build_etag_error()


def _build_etag_error() -> SimulatedPlatformError:
    text = "The condition, or one of the conditions, specified in the request was not met."
    return SimulatedPlatformError(412, "PreconditionFailed", text)


def _put_handler(name: str, resource_type: str) -> ArmHandler:
    async def put_resource(call: ArmCall) -> Response:
        names, resources = call.list_path_names(), call.azure.resources
        if len(names) > 1:
            call.get_existing(resource_type.rpartition("/")[0], names[0])
        identity = call.build_resource_id(resource_type, *names)
        there = resources.find(resource_type, identity)
        require_etag(call.request, build_shown_resource(call.azure, there) if there else None)
        body = await call.read_json()
        document = _BUILDERS.get(resource_type, _build_document)(identity, resource_type, body)
        resources.put(document)
        return JSONResponse(build_shown_resource(call.azure, document), 200 if there else 201)

    put_resource.__name__ = f"put_{name}"
    return put_resource


def _delete_handler(name: str, resource_type: str) -> ArmHandler:
    async def delete_resource(call: ArmCall) -> Response:
        document = call.get_existing(resource_type, *call.list_path_names())
        call.azure.resources.remove(resource_type, document["id"])
        return Response(status_code=200)

    delete_resource.__name__ = f"delete_{name}"
    return delete_resource


def _build_document(identity: str, resource_type: str, body: JsonObject) -> JsonObject:
    return {
        "id": identity,
        "name": identity.rpartition("/")[2],
        "type": resource_type,
        **{key: body[key] for key in ("location", "tags") if key in body},
        "properties": body.get("properties", {}) | {"provisioningState": "Succeeded"},
    }


def _build_ip_group(identity: str, resource_type: str, body: JsonObject) -> JsonObject:
    members = body.get("properties", {}).get("ipAddresses", [])
    if len(members) > _MOST_MEMBERS:
        text = f"IpGroup {identity} has {len(members)} addresses, at most {_MOST_MEMBERS} are."
        raise SimulatedPlatformError(400, "IpGroupHasTooManyAddresses", text)
    return _build_document(identity, resource_type, body)


def _build_firewall(identity: str, resource_type: str, body: JsonObject) -> JsonObject:
    document = _build_document(identity, resource_type, body)
    for configuration in document["properties"].get("ipConfigurations", []):
        configuration["properties"]["privateIPAddress"] = _PRIVATE_ADDRESS
    return document


def _build_group(identity: str, resource_type: str, body: JsonObject) -> JsonObject:
    del resource_type
    given = body.get("properties", {})
    return build_security_group(identity, body | {"securityRules": given.get("securityRules", [])})


_BUILDERS: dict[str, Callable[[str, str, JsonObject], JsonObject]] = {
    SECURITY_GROUPS: _build_group,
    f"{_NETWORK}/azureFirewalls": _build_firewall,
    f"{_NETWORK}/ipGroups": _build_ip_group,
}


def _find_users(azure: Azure, group_id: str) -> JsonObject:
    """Return the firewalls and firewall policies with a rule that names an IP group."""
    firewalls = azure.resources.list_of_type(f"{_NETWORK}/azureFirewalls")
    groups = azure.resources.list_of_type(f"{_NETWORK}/firewallPolicies/ruleCollectionGroups")
    policies = {
        one["id"].rpartition("/ruleCollectionGroups/")[0]
        for one in groups
        if _has_reference_to_group(one, group_id)
    }
    return {
        "firewalls": [
            {"id": one["id"]} for one in firewalls if _has_reference_to_group(one, group_id)
        ],
        "firewallPolicies": [{"id": policy_id} for policy_id in sorted(policies)],
    }


def _has_reference_to_group(document: JsonObject, group_id: str) -> bool:
    return json.dumps(group_id.lower()) in json.dumps(document["properties"]).lower()

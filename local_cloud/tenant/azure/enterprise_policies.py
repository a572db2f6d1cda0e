"""Serve `Microsoft.PowerPlatform/enterprisePolicies`, which apply keys to environments.

See platform.md#enterprise-policies.
"""

import uuid

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.events import (
    PolicyEventPayload,
    PolicyOperation,
    publish_policy_event,
)
from local_cloud.tenant.azure.key_health import find_key_problem
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import POLICIES
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.power_platform import PowerPlatform

KINDS = ("Lockbox", "PrivateEndpoint", "Encryption", "NetworkInjection", "Identity")

#: Geographies, not regions: a policy's location equals that of its environments.
LOCATIONS = (
    *("unitedstates", "canada", "brazil", "europe", "uk", "france", "germany", "switzerland"),
    *("norway", "sweden", "uae", "southafrica", "asia", "singapore", "japan", "korea", "india"),
    "australia",
)

_COLLECTION = f"{GROUP}/providers/{POLICIES}"
_POLICY = f"{_COLLECTION}/{{name}}"


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", f"{SUBSCRIPTION}/providers/{POLICIES}", list_policies),
        build_arm_route("GET", _COLLECTION, list_policies),
        build_arm_route("GET", _POLICY, get_policy),
        build_arm_route("PUT", _POLICY, put_policy),
        build_arm_route("PATCH", _POLICY, patch_policy),
        build_arm_route("DELETE", _POLICY, delete_policy),
    ]


async def list_policies(call: ArmCall) -> JsonObject:
    policies = call.azure.resources.list_within(POLICIES, call.scope)
    return call.build_page([_with_health(call, policy) for policy in policies])


async def get_policy(call: ArmCall) -> JsonObject:
    return _with_health(call, call.get_existing(POLICIES, call.get_path_part("name")))


async def put_policy(call: ArmCall) -> Response:
    body = await call.read_json()
    policy_id = call.build_resource_id(POLICIES, call.get_path_part("name"))
    existing = call.azure.resources.find(POLICIES, policy_id)
    if existing is not None:
        _require_unused(call, existing)
    policy = build_policy(policy_id, body, call.tenant_id)
    if existing is not None:
        _copy_lasting_members(policy, existing)
    _stamp_policy(call, policy)
    call.azure.resources.put(policy)
    await _announce_policy(call, policy, PolicyOperation.WRITE)
    return JSONResponse(_with_health(call, policy), 201 if existing is None else 200)


async def patch_policy(call: ArmCall) -> JsonObject:
    body = await call.read_json()
    policy = call.get_existing(POLICIES, call.get_path_part("name"))
    _require_unused(call, policy)
    changed = policy | {k: body[k] for k in ("tags", "identity") if k in body}
    changed["properties"] = policy["properties"] | _read_properties(body)
    changed["identity"] = _build_identity(changed["identity"], call.tenant_id)
    _stamp_policy(call, changed)
    call.azure.resources.put(changed)
    await _announce_policy(call, changed, PolicyOperation.WRITE)
    return _with_health(call, changed)


async def delete_policy(call: ArmCall) -> Response:
    policy_id = call.build_resource_id(POLICIES, call.get_path_part("name"))
    policy = call.azure.resources.find(POLICIES, policy_id)
    if policy is None:
        return Response(status_code=204)
    _require_unused(call, policy)
    call.azure.resources.remove(POLICIES, policy_id)
    await _announce_policy(call, policy, PolicyOperation.DELETE)
    return Response(status_code=200)


def build_policy(policy_id: str, body: JsonObject, tenant_id: str) -> JsonObject:
    location, kind = body.get("location", ""), body.get("kind", "")
    if location not in LOCATIONS:
        raise SimulatedPlatformError(
            400, "LocationNotAvailableForResourceType", f"'{location}' is no location of policies."
        )
    if kind not in KINDS:
        raise SimulatedPlatformError(
            400, "InvalidRequestContent", f"'{kind}' is no kind of policy."
        )
    system_id = (
        f"/regions/{location}/providers/Microsoft.PowerPlatform/enterprisePolicies/{uuid.uuid4()}"
    )
    properties = {"systemId": system_id, "lockbox": None, "networkInjection": None}
    return {
        "id": policy_id,
        "name": policy_id.rpartition("/")[2],
        "type": POLICIES,
        "location": location,
        "kind": kind,
        "tags": body.get("tags", {}),
        "identity": _build_identity(body.get("identity", {"type": "None"}), tenant_id),
        "properties": properties | _read_properties(body),
    }


def _read_properties(body: JsonObject) -> JsonObject:
    given = dict(body.get("properties", {}))
    # What the service decides is not the request's to say.
    given.pop("healthStatus", None)
    if encryption := given.get("encryption"):
        vault = encryption.get("keyVault", {})
        key = vault.get("key", {})
        if not vault.get("id") or not key.get("name"):
            raise SimulatedPlatformError(
                400, "InvalidRequestContent", "An Encryption policy names a vault and a key."
            )
        given["encryption"] = {
            "state": encryption.get("state", "Enabled"),
            "keyVault": {
                "id": vault["id"],
                "key": {"name": key["name"], "version": key.get("version")},
            },
        }
    return given


def _build_identity(given: JsonObject, tenant_id: str) -> JsonObject:
    if given.get("type") != "SystemAssigned" or "principalId" in given:
        return given
    return given | {"principalId": str(uuid.uuid4()), "tenantId": tenant_id}


def _copy_lasting_members(policy: JsonObject, existing: JsonObject) -> None:
    policy["properties"]["systemId"] = existing["properties"]["systemId"]
    policy["systemData"] = existing["systemData"]
    if policy["identity"].get("type") == existing["identity"].get("type"):
        policy["identity"] = existing["identity"]


def _stamp_policy(call: ArmCall, policy: JsonObject) -> None:
    kind = "User" if call.caller.is_delegated else "Application"
    by, at = call.caller.object_id, format_time(call.tenant.clock.now())
    created = policy.get("systemData") or {"createdBy": by, "createdByType": kind, "createdAt": at}
    policy["systemData"] = created | {
        "lastModifiedBy": by,
        "lastModifiedByType": kind,
        "lastModifiedAt": at,
    }


def _with_health(call: ArmCall, policy: JsonObject) -> JsonObject:
    is_healthy = find_key_problem(call.azure, policy, call.tenant.clock.now()) is None
    health = {"healthStatus": "Healthy" if is_healthy else "Unhealthy"}
    return policy | {"properties": policy["properties"] | health}


def _require_unused(call: ArmCall, policy: JsonObject) -> None:
    """Reject (409) a change of a policy with linked environments.

    The error code is assumed (platform.md#policies-in-use).
    """
    environments = [
        environment
        for environment in call.tenant.get_part(PowerPlatform).environments.values()
        if environment.policy and environment.policy.id.lower() == policy["id"].lower()
    ]
    if environments:
        raise SimulatedPlatformError(
            409,
            "EnterprisePolicyInUse",
            f"The enterprise policy '{policy['name']}' is associated with "
            f"{len(environments)} environment(s).",
        )


async def _announce_policy(call: ArmCall, policy: JsonObject, operation: PolicyOperation) -> None:
    change = PolicyEventPayload(
        policy=policy,
        operation=operation,
        method=call.request.method,
        url=str(call.request.url.replace(scheme="https")),
        object_id=call.caller.object_id,
    )
    await publish_policy_event(call.tenant, change)

"""Serve `Microsoft.Authorization/roleAssignments` for vaults and resource groups.

A list for a vault includes assignments at scopes above and below it, as in Azure. See
platform.md#key-grants.
"""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import VAULTS
from local_cloud.tenant.core.odata import parse_filter
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

TYPE = "Microsoft.Authorization/roleAssignments"
PERMISSIONS = "Microsoft.Authorization/permissions"
_COLLECTION = f"{GROUP}/providers/{VAULTS}/{{vault}}/providers/{TYPE}"
_ITEM = f"{_COLLECTION}/{{name}}"

_GROUP_ITEM = f"{GROUP}/providers/{TYPE}/{{name}}"
DEFINITIONS = "Microsoft.Authorization/roleDefinitions"
#: Built-in roles that documents of this product name → the id of their definition.
_ROLES = {
    "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Crypto Service Encryption User": "e147488a-f6f5-4113-8e2d-b22465e65bf6",
}

OPTIONS = {"list_role_assignments": ("$filter",), "list_role_definitions": ("$filter",)}


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", _COLLECTION, list_role_assignments),
        build_arm_route("PUT", _ITEM, put_role_assignment),
        build_arm_route("DELETE", _ITEM, delete_role_assignment),
        build_arm_route("PUT", _GROUP_ITEM, put_role_assignment),
        build_arm_route("DELETE", _GROUP_ITEM, delete_role_assignment),
        build_arm_route("GET", f"{GROUP}/providers/{DEFINITIONS}", list_role_definitions),
        build_arm_route("GET", f"{GROUP}/providers/{PERMISSIONS}", list_permissions),
        build_arm_route("GET", f"{SUBSCRIPTION}/providers/{PERMISSIONS}", list_permissions),
    ]


async def list_role_assignments(call: ArmCall) -> JsonObject:
    vault = _get_vault(call)
    text = call.request.query_params.get("$filter")
    matches = parse_filter(text) if text else lambda _: True
    found = [
        each
        for each in call.azure.role_assignments.values()
        if _is_near(each["properties"]["scope"], vault) and matches(each["properties"])
    ]
    return call.build_page(found)


async def list_permissions(call: ArmCall) -> JsonObject:
    """List the permissions of the app's identity in a scope.

    These are all permissions, unless a test limits them.
    """
    scope = call.request.url.path.lower().partition("/providers/")[0]
    everything = {"actions": ["*"], "notActions": [], "dataActions": ["*"], "notDataActions": []}
    return call.build_page(call.azure.permissions.get(scope, [everything]))


async def list_role_definitions(call: ArmCall) -> JsonObject:
    text = call.request.query_params.get("$filter")
    matches = parse_filter(text) if text else lambda _: True
    start = f"/subscriptions/{call.get_path_part('subscription')}/providers/{DEFINITIONS}"
    roles: list[JsonObject] = [
        {
            "id": f"{start}/{role_id}",
            "name": role_id,
            "type": DEFINITIONS,
            "properties": {"roleName": name, "type": "BuiltInRole", "permissions": []},
        }
        for name, role_id in _ROLES.items()
    ]
    return call.build_page([role for role in roles if matches(role["properties"])])


async def put_role_assignment(call: ArmCall) -> Response:
    given = (await call.read_json()).get("properties") or {}
    if not given.get("roleDefinitionId") or not given.get("principalId"):
        raise SimulatedPlatformError(
            400, "InvalidRequestContent", "A role assignment names a role and a principal."
        )
    assignment = build_role_assignment(_parse_scope(call), call.get_path_part("name"), given)
    known = call.azure.role_assignments
    for each in known.values():
        if each["id"] != assignment["id"] and each["properties"] == assignment["properties"]:
            raise SimulatedPlatformError(
                409, "RoleAssignmentExists", "The role assignment already exists."
            )
    known[assignment["id"].lower()] = assignment
    return JSONResponse(assignment, 201)


async def delete_role_assignment(call: ArmCall) -> Response:
    wanted = f"{_parse_scope(call)}/providers/{TYPE}/{call.get_path_part('name')}".lower()
    gone = call.azure.role_assignments.pop(wanted, None)
    return JSONResponse(gone) if gone else Response(status_code=204)


def build_role_assignment(scope: str, name: str, given: JsonObject) -> JsonObject:
    kept = ("roleDefinitionId", "principalId", "principalType", "condition", "conditionVersion")
    return {
        "id": f"{scope}/providers/{TYPE}/{name}",
        "name": name,
        "type": TYPE,
        "properties": {key: given.get(key) for key in kept} | {"scope": scope},
    }


def _parse_scope(call: ArmCall) -> str:
    if "vault" in call.request.path_params:
        return _get_vault(call)
    return call.scope.prefix.rstrip("/")


def _get_vault(call: ArmCall) -> str:
    vault_id: str = call.get_existing(VAULTS, call.get_path_part("vault"))["id"]
    return vault_id


def _is_near(scope: str, vault: str) -> bool:
    """Return whether a scope is the vault, above it or below it."""
    one, other = f"{scope.lower().rstrip('/')}/", f"{vault.lower()}/"
    return one.startswith(other) or other.startswith(one)

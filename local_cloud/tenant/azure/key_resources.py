"""Serve the keys of a vault in Resource Manager, to which the vault's firewall does not apply.

Lists omit a key's type, size and operations: the reference calls every member optional and shows no
list of a real vault (assumed). A client reads these members with a request for each version.
"""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import VAULTS
from local_cloud.tenant.azure.vault_contents import Key, SimulatedKeyVersion, VaultContents
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_KEYS = f"{GROUP}/providers/{VAULTS}/{{vault}}/keys"
_KEY = f"{_KEYS}/{{key}}"


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", _KEYS, list_vault_keys),
        build_arm_route("GET", _KEY, get_vault_key),
        build_arm_route("GET", f"{_KEY}/versions", list_vault_key_versions),
        build_arm_route("GET", f"{_KEY}/versions/{{version}}", get_vault_key_version),
    ]


async def list_vault_keys(call: ArmCall) -> JsonObject:
    vault = _find_vault(call)
    return call.build_page(
        [_build_item(call, vault, key, key.latest) for key in vault.keys.values()]
    )


async def get_vault_key(call: ArmCall) -> JsonObject:
    vault = _find_vault(call)
    key = _require_key(call, vault)
    return _with_details(_build_item(call, vault, key, key.latest), key)


async def list_vault_key_versions(call: ArmCall) -> JsonObject:
    vault = _find_vault(call)
    key = _require_key(call, vault)
    return call.build_page([_build_version(call, vault, key, version) for version in key.versions])


async def get_vault_key_version(call: ArmCall) -> JsonObject:
    vault = _find_vault(call)
    key = _require_key(call, vault)
    version = key.find(call.get_path_part("version"))
    if version is None:
        raise _build_not_found_error(call)
    return _with_details(_build_version(call, vault, key, version), key)


def _find_vault(call: ArmCall) -> VaultContents:
    document = call.get_existing(VAULTS, call.get_path_part("vault"))
    vault = call.azure.find_vault(document["name"])
    assert vault is not None  # a vault has contents as soon as it is a resource
    return vault


def _require_key(call: ArmCall, vault: VaultContents) -> Key:
    key = vault.find_key(call.get_path_part("key"))
    if key is None:
        raise _build_not_found_error(call)
    return key


def _build_not_found_error(call: ArmCall) -> SimulatedPlatformError:
    message = f"A key with (name/id) {call.get_path_part('key')} was not found in this key vault."
    return SimulatedPlatformError(404, "KeyNotFound", message)


def _build_item(
    call: ArmCall, vault: VaultContents, key: Key, version: SimulatedKeyVersion
) -> JsonObject:
    document = call.get_existing(VAULTS, call.get_path_part("vault"))
    address = f"https://{vault.name}.vault.azure.net:443/keys/{key.name}"
    protection = "Recoverable"
    if document["properties"].get("enablePurgeProtection") is not True:
        protection += "+Purgeable"
    return {
        "id": f"{document['id']}/keys/{key.name}",
        "name": key.name,
        "type": f"{VAULTS}/keys",
        "location": document["location"],
        "tags": version.tags,
        "properties": {
            "attributes": version.attributes.to_json() | {"recoveryLevel": protection},
            "keyUri": address,
            "keyUriWithVersion": f"{address}/{version.version}",
        },
    }


def _build_version(
    call: ArmCall, vault: VaultContents, key: Key, version: SimulatedKeyVersion
) -> JsonObject:
    item = _build_item(call, vault, key, version)
    return item | {
        "id": f"{item['id']}/versions/{version.version}",
        "name": version.version,
        "type": f"{VAULTS}/keys/versions",
    }


def _with_details(item: JsonObject, key: Key) -> JsonObject:
    details = {"kty": key.key_type, "keyOps": key.operations, "keySize": key.size}
    if key.rotation_policy:
        details["rotationPolicy"] = key.rotation_policy
    return item | {"properties": item["properties"] | details}

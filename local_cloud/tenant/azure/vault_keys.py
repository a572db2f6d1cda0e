"""Serve the keys of a vault: create, read, change and rotate them, and sign with them.

See platform.md#vault-api.
"""

import base64
import binascii

from starlette.routing import Route

from local_cloud.tenant.azure.events import KeyEvent, KeyEventPayload, publish_key_event
from local_cloud.tenant.azure.key_material import sign_digest
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.vault_call import (
    VaultCall,
    build_deleted_error,
    build_parameter_error,
    build_vault_route,
    require_existing,
)
from local_cloud.tenant.azure.vault_contents import (
    Attributes,
    Key,
    SimulatedKeyVersion,
    add_next_version,
    convert_to_epoch,
    encode_base64url,
)
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_KEY_TYPES = ("RSA", "RSA-HSM")
_KEY_SIZES = (2048, 3072, 4096)


def build_routes() -> list[Route]:
    """Return the routes of keys.

    A fixed last part, such as `rotate`, has to precede `{version}`.
    """
    key = "/keys/{name}"
    return [
        build_vault_route("GET", "/keys", list_keys),
        build_vault_route("POST", f"{key}/create", create_key),
        build_vault_route("POST", f"{key}/rotate", rotate_key),
        build_vault_route("GET", f"{key}/rotationpolicy", get_rotation_policy),
        build_vault_route("PUT", f"{key}/rotationpolicy", update_rotation_policy),
        build_vault_route("GET", f"{key}/versions", list_key_versions),
        build_vault_route("GET", key, get_key),
        build_vault_route("GET", f"{key}/", get_key),
        build_vault_route("GET", f"{key}/{{version}}", get_key),
        build_vault_route("POST", f"{key}/{{version}}/sign", sign),
        build_vault_route("PATCH", f"{key}/", update_key),
        build_vault_route("PATCH", f"{key}/{{version}}", update_key),
    ]


async def list_keys(call: VaultCall) -> JsonObject:
    return call.build_page([build_key_item(call, key) for key in call.vault.keys.values()])


async def list_key_versions(call: VaultCall) -> JsonObject:
    key = _require_key(call)
    return call.build_page(
        [
            {
                "kid": _build_kid(call, key, version),
                "attributes": call.build_attributes(version.attributes),
                "tags": version.tags,
            }
            for version in key.versions
        ]
    )


async def get_key(call: VaultCall) -> JsonObject:
    key = _require_key(call)
    return _build_bundle(call, key, _require_version(call, key))


async def create_key(call: VaultCall) -> JsonObject:
    body, name = await call.read_json(), call.get_path_part("name")
    kind, size = body.get("kty", ""), body.get("key_size") or 2048
    if kind not in _KEY_TYPES or size not in _KEY_SIZES:
        raise build_parameter_error(f"A key of type '{kind}' with {size} bits is not supported.")
    if name.lower() in call.vault.deleted_keys:
        raise build_deleted_error("Key", name)
    attributes = Attributes(created=call.now, updated=call.now)
    attributes.change(body.get("attributes") or {}, call.now)
    key = call.vault.keys.setdefault(name.lower(), Key(name=name, key_type=kind, size=size))
    key.operations = body.get("key_ops") or key.operations
    return await _announce_key_version(call, key, key.add_version(attributes))


async def rotate_key(call: VaultCall) -> JsonObject:
    key = _require_key(call)
    return await _announce_key_version(call, key, add_next_version(key, call.now))


async def get_rotation_policy(call: VaultCall) -> JsonObject:
    return _build_rotation_policy(call, _require_key(call))


async def update_rotation_policy(call: VaultCall) -> JsonObject:
    key, body, now = _require_key(call), await call.read_json(), convert_to_epoch(call.now)
    created = key.rotation_policy.get("attributes", {}).get("created", now)
    key.rotation_policy = {
        "lifetimeActions": body.get("lifetimeActions") or [],
        "attributes": (body.get("attributes") or {}) | {"created": created, "updated": now},
    }
    return _build_rotation_policy(call, key)


async def update_key(call: VaultCall) -> JsonObject:
    key, body = _require_key(call), await call.read_json()
    version = _require_version(call, key)
    version.attributes.change(body.get("attributes") or {}, call.now)
    if body.get("tags") is not None:
        version.tags = body["tags"]
    return _build_bundle(call, key, version)


async def sign(call: VaultCall) -> JsonObject:
    key, body = _require_key(call), await call.read_json()
    version = _require_version(call, key)
    if not version.attributes.is_usable(call.now):
        message = f"Operation sign is not allowed on a disabled key {key.name}."
        raise SimulatedPlatformError(403, "Forbidden", message, innererror={"code": "KeyDisabled"})
    if "sign" not in key.operations:
        message = f"Operation sign is not permitted on this key {key.name}."
        raise SimulatedPlatformError(403, "Forbidden", message)
    if body.get("alg") != "RS256":
        raise build_parameter_error(
            f"Key and signing algorithm '{body.get('alg')}' are incompatible."
        )
    try:
        digest = base64.urlsafe_b64decode(f"{body.get('value', '')}==")
        value = sign_digest(version.private_key, digest)
    except (binascii.Error, ValueError) as error:
        raise build_parameter_error("The value is not a SHA-256 digest in base64url.") from error
    return {"kid": _build_kid(call, key, version), "value": encode_base64url(value)}


def _require_key(call: VaultCall) -> Key:
    return require_existing(call, "key", call.vault.find_key(call.get_path_part("name")))


def _require_version(call: VaultCall, key: Key) -> SimulatedKeyVersion:
    return require_existing(call, "key", key.find(call.get_path_part("version")))


async def _announce_key_version(
    call: VaultCall, key: Key, version: SimulatedKeyVersion
) -> JsonObject:
    news = KeyEventPayload(
        kind=KeyEvent.NEW_VERSION, vault=call.vault, key_name=key.name, version=version
    )
    await publish_key_event(call.tenant, news)
    return _build_bundle(call, key, version)


def _build_kid(call: VaultCall, key: Key, version: SimulatedKeyVersion) -> str:
    return f"{call.url}/keys/{key.name}/{version.version}"


def build_key_bundle(call: VaultCall, key: Key) -> JsonObject:
    return _build_bundle(call, key, key.latest)


def build_key_item(call: VaultCall, key: Key) -> JsonObject:
    return {
        "kid": f"{call.url}/keys/{key.name}",
        "attributes": call.build_attributes(key.latest.attributes),
        "tags": key.latest.tags,
    }


def _build_bundle(call: VaultCall, key: Key, version: SimulatedKeyVersion) -> JsonObject:
    return {
        "key": {
            "kid": _build_kid(call, key, version),
            "kty": key.key_type,
            "key_ops": key.operations,
            "n": version.modulus,
            "e": "AQAB",
        },
        "attributes": call.build_attributes(version.attributes),
        "tags": version.tags,
    }


def _build_rotation_policy(call: VaultCall, key: Key) -> JsonObject:
    policy = {"lifetimeActions": [], "attributes": {}} | key.rotation_policy
    return {"id": f"{call.url}/keys/{key.name}/rotationpolicy"} | policy

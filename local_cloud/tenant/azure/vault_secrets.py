"""Serve the secrets of a vault. Each write adds a version.

Lists have ids, not values. See platform.md#key-vault-secrets.
"""

from starlette.routing import Route

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
    SecretVersion,
    SimulatedSecret,
    create_version_id,
)
from local_cloud.tenant.core.platform_error import SimulatedPlatformError


def build_routes() -> list[Route]:
    """Return the routes of secrets. The fixed part `versions` has to precede `{version}`."""
    secret = "/secrets/{name}"
    return [
        build_vault_route("GET", "/secrets", list_secrets),
        build_vault_route("PUT", secret, set_secret),
        build_vault_route("GET", f"{secret}/versions", list_secret_versions),
        build_vault_route("GET", secret, get_secret),
        build_vault_route("GET", f"{secret}/", get_secret),
        build_vault_route("GET", f"{secret}/{{version}}", get_secret),
        build_vault_route("PATCH", f"{secret}/", update_secret),
        build_vault_route("PATCH", f"{secret}/{{version}}", update_secret),
    ]


async def list_secrets(call: VaultCall) -> JsonObject:
    return call.build_page(
        [build_secret_item(call, secret) for secret in call.vault.secrets.values()]
    )


async def list_secret_versions(call: VaultCall) -> JsonObject:
    secret = _require_secret(call)
    return call.build_page(
        [
            _build_item(call, _build_id(call, secret, version), version)
            for version in secret.versions
        ]
    )


async def get_secret(call: VaultCall) -> JsonObject:
    secret = _require_secret(call)
    version = _require_version(call, secret)
    if not version.attributes.enabled:
        raise SimulatedPlatformError(
            403,
            "Forbidden",
            "Operation get is not allowed on a disabled secret.",
            innererror={"code": "SecretDisabled"},
        )
    return _build_bundle(call, secret, version)


async def set_secret(call: VaultCall) -> JsonObject:
    body, name = await call.read_json(), call.get_path_part("name")
    if not isinstance(body.get("value"), str):
        raise build_parameter_error("A secret needs a value.")
    if name.lower() in call.vault.deleted_secrets:
        raise build_deleted_error("Secret", name)
    attributes = Attributes(created=call.now, updated=call.now)
    attributes.change(body.get("attributes") or {}, call.now)
    version = SecretVersion(
        version=create_version_id(),
        value=body["value"],
        attributes=attributes,
        content_type=body.get("contentType"),
        tags=body.get("tags") or {},
    )
    return _build_bundle(call, call.vault.put_secret(name, version), version)


async def update_secret(call: VaultCall) -> JsonObject:
    secret, body = _require_secret(call), await call.read_json()
    version = _require_version(call, secret)
    version.attributes.change(body.get("attributes") or {}, call.now)
    version.content_type = body.get("contentType", version.content_type)
    if body.get("tags") is not None:
        version.tags = body["tags"]
    return _build_item(call, _build_id(call, secret, version), version)


def _require_secret(call: VaultCall) -> SimulatedSecret:
    return require_existing(call, "secret", call.vault.find_secret(call.get_path_part("name")))


def _require_version(call: VaultCall, secret: SimulatedSecret) -> SecretVersion:
    return require_existing(call, "secret", secret.find(call.get_path_part("version")))


def build_secret_bundle(call: VaultCall, secret: SimulatedSecret) -> JsonObject:
    return _build_item(call, _build_id(call, secret, secret.latest), secret.latest)


def build_secret_item(call: VaultCall, secret: SimulatedSecret) -> JsonObject:
    return _build_item(call, f"{call.url}/secrets/{secret.name}", secret.latest)


def _build_id(call: VaultCall, secret: SimulatedSecret, version: SecretVersion) -> str:
    return f"{call.url}/secrets/{secret.name}/{version.version}"


def _build_item(call: VaultCall, secret_id: str, version: SecretVersion) -> JsonObject:
    item: JsonObject = {"id": secret_id, "attributes": call.build_attributes(version.attributes)}
    if version.content_type is not None:
        item["contentType"] = version.content_type
    return item | {"tags": version.tags}


def _build_bundle(call: VaultCall, secret: SimulatedSecret, version: SecretVersion) -> JsonObject:
    return _build_item(call, _build_id(call, secret, version), version) | {"value": version.value}

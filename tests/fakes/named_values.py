"""Compute the value of a fake named value of API Management that refers to a Key Vault secret.

The service fetches the secret when the named value is written, and again within 4 hours.
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.errors import PlatformError
from tests.fakes.vault_references import fetch_secret
from tests.fakes.world import World

REFRESH_AFTER = timedelta(hours=4)


def read_named_value(world: World, path: str) -> str:
    """Return the value that policies use now. `path` is the resource id in lower case."""
    properties = mapping_at(world.resources[path], "properties")
    if "keyVault" not in properties:
        return text_at(properties, "value") or ""
    known = world.named_values_in_use.get(path)
    now = world.clock.now()
    if known is None or now - known[1] >= REFRESH_AFTER:
        known = world.named_values_in_use[path] = (_fetch(world, path, properties), now)
    return known[0]


def store_named_value(
    world: World, path: str, document: Mapping[str, object]
) -> Mapping[str, object]:
    """Return a named value as the service stores it.

    Raises `PlatformError` if the service rejects it.
    """
    world.named_values_in_use.pop(path, None)
    properties = mapping_at(document, "properties")
    if "keyVault" not in properties:
        return document
    if "value" in properties or not properties.get("secret"):
        raise PlatformError("not a secret", code="ValidationError", status=400)
    _fetch(world, path, properties)
    held = {**mapping_at(properties, "keyVault"), "lastStatus": {"code": world.refresh_status}}
    return {**document, "properties": {**properties, "keyVault": held}}


def _fetch(world: World, path: str, properties: Mapping[str, object]) -> str:
    service = world.resources[path.partition("/namedvalues/")[0]]
    held = mapping_at(properties, "keyVault")
    client = text_at(held, "identityClientId") or ""
    return fetch_secret(world, service, text_at(held, "secretIdentifier") or "", identity=client)

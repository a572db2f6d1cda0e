"""Read a Key Vault secret as a fake Azure resource does, with one of its identities."""

import re
from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.keys.secret_access import SecretReader, find_reading_obstacle
from shared.errors import PlatformError
from tests.fakes.world import World

_URI = re.compile(r"(https://[^/]+)/secrets/([^/]+)")


def fetch_secret(
    world: World, resource: Mapping[str, object], uri: str, *, identity: str = ""
) -> str:
    """Return the current value of a secret.

    Raises `PlatformError` if the resource may not read it. `identity` is the resource id or client
    id of a user-assigned identity. If it is empty, the resource uses its system-assigned identity.
    """
    found = _URI.fullmatch(uri)
    assert found
    vault = next((one for one in world.vaults.values() if one.url == found[1]), None)
    secret = world.secrets.get((found[1], found[2]))
    principal = _find_principal(mapping_at(resource, "identity"), identity)
    reader = SecretReader(name=str(resource.get("name")), principal_id=principal)
    if vault and secret and not world.are_references_denied:
        roles = world.roles.get((vault.id, principal), [])
        if not find_reading_obstacle(vault, found[2], reader, roles):
            return secret.value
    raise PlatformError(
        "Failed to access KeyVault Secret using Managed Service Identity",
        code="ValidationError",
        status=400,
    )


def _find_principal(identities: Mapping[str, object], wanted: str) -> str:
    if not wanted:
        return text_at(identities, "principalId") or ""
    assigned = mapping_at(identities, "userAssignedIdentities")
    for path in assigned:
        one = mapping_at(assigned, path)
        if wanted in {path, text_at(one, "clientId")}:
            return text_at(one, "principalId") or ""
    return ""

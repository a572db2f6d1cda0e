"""Read a key, its vault and its permissions. A part that cannot be read is None."""

from collections.abc import Sequence
from contextlib import suppress

from shared.domain.environment import Environment
from shared.domain.keys.key import (
    EnterprisePolicy,
    KeySnapshot,
    KeyVault,
    KeyVersion,
    RoleAssignment,
)
from shared.errors import NotFound, PlatformError
from shared.services import Services


async def read_key(
    services: Services, policy: EnterprisePolicy, environments: Sequence[Environment]
) -> KeySnapshot:
    """Return the facts about the key of a policy.

    `environments` are all environments of the tenant.
    """
    vault: KeyVault | None = None
    with suppress(NotFound, PlatformError):
        vault = await services.keys.read_vault(policy.vault_id)
    return KeySnapshot(
        read_at=services.now,
        vault_id=policy.vault_id,
        key_name=policy.key_name,
        policy=policy,
        vault=vault,
        versions=await _read_versions(services, vault, policy.key_name) if vault else None,
        roles=await _read_roles(services, vault, policy.principal_id) if vault else None,
        environments=environments,
    )


async def read_named_key(services: Services, vault: str, key: str) -> KeySnapshot:
    """Return the facts about a key that no policy names yet.

    `vault` is a name or an Azure resource id. Raises `NotFound` if there is no such vault.
    """
    found = await services.keys.read_vault(vault)
    return KeySnapshot(
        read_at=services.now,
        vault_id=found.id,
        key_name=key,
        vault=found,
        versions=await _read_versions(services, found, key),
    )


async def _read_versions(
    services: Services, vault: KeyVault, key: str
) -> Sequence[KeyVersion] | None:
    try:
        return await services.keys.read_key_versions(vault, key)
    except NotFound:
        return ()
    except PlatformError:
        return None


async def _read_roles(
    services: Services, vault: KeyVault, principal_id: str | None
) -> Sequence[RoleAssignment] | None:
    if not vault.uses_rbac or principal_id is None:
        return None
    with suppress(NotFound, PlatformError):
        return await services.keys.read_role_assignments(vault.id, principal_id)
    return None

"""Decide whether an app can read a secret with the identity that resolves its references."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.keys.key import KeyVault, RoleAssignment

#: Built-in roles that may read secrets: Key Vault Secrets User, Secrets Officer and Administrator.
_READING_ROLES = frozenset(
    {
        "4633458b-17de-408a-b874-0445c86b69e6",
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReader:
    """An app, or a slot of one, with the identity that resolves its Key Vault references."""

    name: str
    #: Object id; empty: it has no such identity.
    principal_id: str
    #: Of a user-assigned identity: its resource id and client id. Empty: it is system-assigned.
    resource_id: str = ""
    client_id: str = ""


def find_reading_obstacle(
    vault: KeyVault, secret_name: str, reader: SecretReader, roles: Sequence[RoleAssignment]
) -> str:
    """Return why an app may be unable to read a secret, or "" if it can.

    `roles` are the role assignments of its identity at the vault, above and below it.
    """
    if not reader.principal_id:
        return f"{reader.name} has no identity that resolves Key Vault references."
    if vault.public_access != "Enabled" or vault.default_action != "Allow":
        return f"The network rules of the vault {vault.name} may deny {reader.name}."
    if vault.uses_rbac:
        secret_id = f"{vault.id}/secrets/{secret_name}/".lower()
        may_read = any(
            role.role_id in _READING_ROLES
            and not role.is_conditional
            and secret_id.startswith(f"{role.scope.rstrip('/')}/")
            for role in roles
        )
        right = "the role Key Vault Secrets User"
    else:
        may_read = "get" in vault.secret_permissions.get(reader.principal_id.lower(), ())
        right = "Get on secrets by an access policy"
    if may_read:
        return ""
    return f"{reader.name} may not read the secret {secret_name}: its identity needs {right}."

from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.azure.app_settings import SiteEntity
from shared.domain.keys.key import KeyVault, RoleAssignment
from shared.domain.keys.secret_access import SecretReader, find_reading_obstacle
from tests.fakes.azure_caller_builder import SECRETS_USER

GROUP = "/subscriptions/s/resourcegroups/g"
VAULT = KeyVault(
    id=f"{GROUP}/providers/microsoft.keyvault/vaults/kv",
    url="https://kv.vault.azure.net",
    soft_delete=True,
    purge_protection=True,
    uses_rbac=True,
    key_permissions={},
    public_access="Enabled",
    default_action="Allow",
    lets_trusted_services_in=True,
)
READER = SecretReader(name="shop", principal_id="P")
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shop"


@pytest.mark.parametrize(
    ("scope", "role", "is_conditional", "may"),
    [
        (VAULT.id, SECRETS_USER, False, True),
        (GROUP, SECRETS_USER, False, True),
        (f"{VAULT.id}/secrets/url", SECRETS_USER, False, True),
        (f"{VAULT.id}/secrets/url-2", SECRETS_USER, False, False),
        (f"{VAULT.id}2", SECRETS_USER, False, False),
        (VAULT.id, SECRETS_USER, True, False),
        (VAULT.id, "21090545-7ca7-4776-b22c-e363652d74d2", False, False),  # Key Vault Reader
    ],
)
def test_role_allows_reading_a_secret_at_and_below_its_scope(
    scope: str, role: str, *, is_conditional: bool, may: bool
) -> None:
    roles = [RoleAssignment(role_id=role, scope=scope, is_conditional=is_conditional)]

    obstacle = find_reading_obstacle(VAULT, "url", READER, roles)

    assert obstacle == (
        ""
        if may
        else "shop may not read the secret url: its identity needs the role Key Vault Secrets User."
    )


@pytest.mark.parametrize(("permissions", "may"), [({"get"}, True), ({"list"}, False)])
def test_access_policy_allows_reading_with_get(permissions: set[str], *, may: bool) -> None:
    """In a vault that uses access policies, roles do not count."""
    vault = replace(VAULT, uses_rbac=False, secret_permissions={"p": frozenset(permissions)})
    role = RoleAssignment(role_id=SECRETS_USER, scope=VAULT.id, is_conditional=False)

    assert (find_reading_obstacle(vault, "url", READER, [role]) == "") is may


@pytest.mark.parametrize(
    ("identity", "chosen", "principal"),
    [
        (None, None, ""),
        ({"principalId": "system"}, None, "system"),
        ({"principalId": "system"}, "SystemAssigned", "system"),
        ({"userAssignedIdentities": {IDENTITY: {"principalId": "user"}}}, None, ""),
        ({"userAssignedIdentities": {IDENTITY: {"principalId": "user"}}}, IDENTITY.upper(), "user"),
        ({"principalId": "system"}, IDENTITY, ""),
    ],
)
def test_app_resolves_references_with_the_chosen_identity(
    identity: dict[str, Any] | None, chosen: str | None, principal: str
) -> None:
    """Unless an identity is chosen, an app uses its system-assigned one."""
    site = {
        "id": "/sites/shop",
        "name": "shop",
        "identity": identity,
        "properties": {"keyVaultReferenceIdentity": chosen},
    }

    assert SiteEntity.model_validate(site).to_secret_reader() == SecretReader(
        name="shop", principal_id=principal
    )

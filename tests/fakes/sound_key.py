"""Add a customer-managed key that passes every check of the app."""

from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion
from tests.fakes.world import World

VAULT_ID, VAULT_URL = "/vaults/kv-cmk", "https://kv-cmk.vault.azure.net"
KEY = "pp-cmk"


def put_sound_key(world: World, policy_id: str, system_id: str) -> None:
    """Add an enterprise policy in Europe with its vault and key to a `World`, unless they exist."""
    world.policies.setdefault(
        policy_id,
        EnterprisePolicy(
            id=policy_id,
            name=policy_id.rpartition("/")[2],
            location="europe",
            system_id=system_id,
            encryption_state="Enabled",
            vault_id=VAULT_ID,
            key_name=KEY,
            key_version=None,
            health="Healthy",
            principal_id="principal",
        ),
    )
    world.vaults.setdefault(
        VAULT_ID,
        KeyVault(
            id=VAULT_ID,
            url=VAULT_URL,
            soft_delete=True,
            purge_protection=True,
            uses_rbac=False,
            key_permissions={"principal": frozenset({"get", "wrapkey", "unwrapkey"})},
            public_access="Enabled",
            default_action="Allow",
            lets_trusted_services_in=True,
        ),
    )
    newest = KeyVersion(
        name=KEY,
        version="v1",
        key_type="RSA",
        size=2048,
        is_enabled=True,
        valid_from=None,
        expires_at=None,
        created_at=world.clock.now(),
        operations=frozenset({"wrapkey", "unwrapkey"}),
    )
    world.keys.setdefault((VAULT_URL, KEY), [newest])

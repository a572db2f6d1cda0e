from shared.domain.keys.key import KeyVersion
from tests.fakes.world import World

VAULT_URL, NAME = "https://kv-evidence.vault.azure.net", "evidence"
#: Without a version.
KEY_URL = f"{VAULT_URL}/keys/{NAME}"


def add_evidence_key(world: World, *, is_enabled: bool = True) -> str:
    """Add a current version of the signing key for evidence. Return the version's URL."""
    versions = world.keys.setdefault((VAULT_URL, NAME), [])
    versions.insert(
        0,
        KeyVersion(
            name=NAME,
            version=f"v{len(versions) + 1}",
            key_type="RSA",
            size=2048,
            is_enabled=is_enabled,
            valid_from=None,
            expires_at=None,
            created_at=world.clock.now(),
            operations=frozenset({"sign", "verify"}),
        ),
    )
    return f"{KEY_URL}/{versions[0].version}"

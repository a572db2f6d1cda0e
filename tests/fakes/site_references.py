"""Compute what the code of a fake App Service reads from a setting that refers to a Key Vault
secret.

A site fetches the secret when it starts, and again after 24 hours, but not because the secret has a
new version (platform.md#key-vault-references). If the fetch fails, the code reads the reference
itself.
"""

import re
from collections.abc import Mapping
from datetime import timedelta

from shared.domain.keys.secret_access import SecretReader, find_reading_obstacle
from tests.fakes.tenant import FakeSite, ResolvedReference
from tests.fakes.world import World

_REFERENCE = re.compile(r"@Microsoft\.KeyVault\(SecretUri=(https://[^/]+)/secrets/([^/)]+)/?\)")
REFETCH_AFTER = timedelta(hours=24)


def restart(site: FakeSite) -> None:
    site.restarts += 1
    site.resolved.clear()


def read_setting(world: World, site: FakeSite, name: str) -> str:
    """Return what the code of a site reads from a setting or a connection string."""
    text = {**site.connection_strings, **site.settings}[name]
    return resolve_reference(world, site, name, text).value if _REFERENCE.fullmatch(text) else text


def read_statuses(world: World, site: FakeSite, values: Mapping[str, str]) -> dict[str, str]:
    """Return the status of each value that refers to a Key Vault secret, by its name without the
    type of a connection string.
    """
    return {
        name.rpartition("|")[2]: resolve_reference(world, site, name, text).status
        for name, text in values.items()
        if _REFERENCE.fullmatch(text)
    }


def resolve_reference(world: World, site: FakeSite, name: str, text: str) -> ResolvedReference:
    """Return what the site has read through a reference. Fetches the secret if this is due."""
    now = world.clock.now()
    known = site.resolved.get(name)
    if known is None or known.reference != text or now - known.fetched >= REFETCH_AFTER:
        status, value = _fetch(world, site, text)
        known = site.resolved[name] = ResolvedReference(text, value, status, now)
    return known


def _fetch(world: World, site: FakeSite, text: str) -> tuple[str, str]:
    reference = _REFERENCE.fullmatch(text)
    assert reference
    vault_url, name = reference.groups()
    if not site.principal_id:
        return "MSINotEnabled", text
    vault = next((one for one in world.vaults.values() if one.url == vault_url), None)
    secret = world.secrets.get((vault_url, name))
    if vault is None or secret is None:
        return ("SecretNotFound" if vault else "VaultNotFound"), text
    roles = world.roles.get((vault.id, site.principal_id), [])
    reader = SecretReader(name=site.name, principal_id=site.principal_id)
    if world.are_references_denied or find_reading_obstacle(vault, name, reader, roles):
        return "AccessToKeyVaultDenied", text
    return "Resolved", secret.value

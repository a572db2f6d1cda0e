"""Find out whether apps may read Key Vault secrets."""

from collections.abc import Mapping, Sequence

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.keys.key import KeyVault, RoleAssignment
from shared.domain.keys.secret_access import SecretReader, find_reading_obstacle
from shared.ports import Keys


class SecretRights:
    """Finds out which identities may read secrets. Reads each vault once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._vaults: dict[str, KeyVault] = {}
        self._roles: dict[tuple[str, str], Sequence[RoleAssignment]] = {}

    async def find_secret_obstacle(self, secret: str, readers: Sequence[SecretReader]) -> str:
        """Return why one of the readers may be unable to read a secret, or "" if all can.

        `secret` is its address. Raises `NotFound` if the vault does not exist, and `PlatformError`
        if the app may not read the vault.
        """
        vault_url, _, name = secret.partition("|")
        vault_name = vault_url.partition("://")[2].partition(".")[0]
        if vault_name not in self._vaults:
            self._vaults[vault_name] = await self._keys.read_vault(vault_name)
        vault = self._vaults[vault_name]
        for reader in readers:
            roles = await self._read_roles(vault, reader) if reader.principal_id else []
            if obstacle := find_reading_obstacle(vault, name, reader, roles):
                return obstacle
        return ""

    async def find_reader(self, secret: str, readers: Sequence[SecretReader]) -> SecretReader:
        """Return the first reader that can read a secret, or the first of all if none can.

        Raises the errors of `find_secret_obstacle`.
        """
        for reader in readers if len(readers) > 1 else ():
            if not await self.find_secret_obstacle(secret, [reader]):
                return reader
        return readers[0]

    async def _read_roles(self, vault: KeyVault, reader: SecretReader) -> Sequence[RoleAssignment]:
        if not vault.uses_rbac:
            return ()
        place = vault.id, reader.principal_id
        if place not in self._roles:
            self._roles[place] = await self._keys.read_role_assignments(*place)
        return self._roles[place]


def list_readers(resource: Mapping[str, object], name: str) -> Sequence[SecretReader]:
    """Return a reader for each identity of a resource, the system-assigned identity first.

    `name` is the resource's name for people. Without an identity, returns one reader that has none.
    """
    identity, title = mapping_at(resource, "identity"), f"The {name}"
    system = text_at(identity, "principalId")
    readers = [SecretReader(name=title, principal_id=system)] if system else []
    assigned = mapping_at(identity, "userAssignedIdentities")
    readers += [
        SecretReader(
            name=title,
            principal_id=text_at(mapping_at(assigned, path), "principalId") or "",
            resource_id=path,
            client_id=text_at(mapping_at(assigned, path), "clientId") or "",
        )
        for path in sorted(assigned)
    ]
    return readers or [SecretReader(name=title, principal_id="")]

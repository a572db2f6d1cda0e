"""Keys, their vaults and the enterprise policies that name them (contract §3, §4)."""

import base64
import binascii
from datetime import UTC, datetime

from shared.adapters.key_vault import VAULTS_VERSION, VaultContents, VaultProperties
from shared.adapters.resource_manager import ResourceManager
from shared.adapters.wire import Wire, read_wire
from shared.domain.json_values import text_at
from shared.domain.key import EnterprisePolicy, Key, KeyVault
from shared.ports import Keys

_POLICIES_VERSION = "2020-10-30-preview"
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Grants(Wire):
    keys: tuple[str, ...] | None = None


class _AccessPolicy(Wire):
    object_id: str
    permissions: _Grants = _Grants()


class _Vault(VaultProperties):
    enable_soft_delete: bool | None = None
    enable_purge_protection: bool | None = None
    enable_rbac_authorization: bool | None = None
    access_policies: tuple[_AccessPolicy, ...] | None = None


class VaultEntity(Wire):
    """A vault with its protection."""

    id: str
    properties: _Vault

    def to_domain(self) -> KeyVault:
        """Return what the product keeps of it."""
        vault = self.properties
        return KeyVault(
            id=self.id.lower(),
            url=vault.vault_uri.rstrip("/"),
            # Absent means on: vaults without soft delete can no longer be made.
            soft_delete=vault.enable_soft_delete is not False,
            purge_protection=vault.enable_purge_protection is True,
            uses_rbac=vault.enable_rbac_authorization is True,
            key_permissions={
                grant.object_id.lower(): frozenset(
                    permission.lower() for permission in grant.permissions.keys or ()
                )
                for grant in vault.access_policies or ()
            },
        )


class _KeyName(Wire):
    name: str = ""
    version: str | None = None


class _KeyVaultReference(Wire):
    id: str = ""
    key: _KeyName = _KeyName()


class _Encryption(Wire):
    state: str = "NotConfigured"
    key_vault: _KeyVaultReference | None = None


class _PolicyProperties(Wire):
    system_id: str = ""
    encryption: _Encryption | None = None
    health_status: str = "Undetermined"


class PolicyEntity(Wire):
    """An enterprise policy of any kind."""

    id: str
    name: str
    location: str = ""
    kind: str = ""
    properties: _PolicyProperties = _PolicyProperties()
    identity: dict[str, str | None] | None = None

    def to_domain(self) -> EnterprisePolicy:
        """Return what the product keeps of an encryption policy."""
        encryption = self.properties.encryption or _Encryption()
        vault = encryption.key_vault or _KeyVaultReference()
        identity = self.identity or {}
        return EnterprisePolicy(
            id=self.id.lower(),
            name=self.name,
            location=self.location.lower(),
            system_id=self.properties.system_id,
            encryption_state=encryption.state,
            vault_id=vault.id.lower(),
            key_name=vault.key.name,
            key_version=vault.key.version or None,
            health=self.properties.health_status,
            # Both spellings are in use (§3).
            principal_id=text_at(identity, "principalId")
            or text_at(identity, "systemAssignedIdentityPrincipalId"),
        )


class _KeyAttributes(Wire):
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    created: int | None = None


class _KeyItem(Wire):
    kid: str
    attributes: _KeyAttributes = _KeyAttributes()


class _KeyMaterial(Wire):
    kty: str = ""
    n: str | None = None


class _KeyBundle(Wire):
    key: _KeyMaterial = _KeyMaterial()


class VaultKeys(Keys):
    """`Keys` by Azure Resource Manager and Key Vault's own API."""

    def __init__(self, contents: VaultContents, resources: ResourceManager) -> None:
        """Look in the subscriptions that `resources` watches."""
        self._contents = contents
        self._resources = resources

    async def policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the watched subscriptions."""
        kind = "Microsoft.PowerPlatform/enterprisePolicies"
        entities = [
            read_wire(PolicyEntity, item)
            async for item in self._resources.each(kind, _POLICIES_VERSION)
        ]
        return [entity.to_domain() for entity in entities if entity.kind.lower() == "encryption"]

    async def vault(self, vault_id: str) -> KeyVault:
        """Return a vault by Azure resource id; raises `NotFound`."""
        answer = await self._resources.get(vault_id, VAULTS_VERSION)
        return read_wire(VaultEntity, answer).to_domain()

    async def key_versions(self, vault_url: str, name: str) -> list[Key]:
        """Return every version of a key, newest first. The list leaves out type and size."""
        base = f"{vault_url.rstrip('/')}/keys/{name}"
        keys = []
        async for item in self._contents.items(f"{base}/versions"):
            listed = read_wire(_KeyItem, item)
            version = listed.kid.rsplit("/", 1)[-1]
            bundle = read_wire(_KeyBundle, await self._contents.read(f"{base}/{version}"))
            keys.append(_key(name, version, listed.attributes, bundle.key))
        return sorted(keys, key=lambda key: key.created or _NEVER, reverse=True)


def _key(name: str, version: str, attributes: _KeyAttributes, material: _KeyMaterial) -> Key:
    return Key(
        name=name,
        version=version,
        key_type=material.kty,
        size=_bits(material.n),
        is_enabled=attributes.enabled,
        not_before=_moment(attributes.nbf),
        expires=_moment(attributes.exp),
        created=_moment(attributes.created),
    )


def _bits(modulus: str | None) -> int | None:
    """Return the size of an RSA key, from its modulus in base64url."""
    if modulus is None:
        return None
    try:
        number = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    except binascii.Error:
        return None
    return int.from_bytes(number).bit_length()


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

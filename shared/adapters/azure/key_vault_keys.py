"""Read keys, their vaults and the enterprise policies that reference them.

See platform.md#enterprise-policies, #vault-api.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.adapters.azure.key_vault import VAULTS_VERSION, VaultClient, VaultProperties
from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.definitions.json_values import text_at
from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.errors import NotFound, PlatformError, SubscriptionsUnread
from shared.ports import Keys

if TYPE_CHECKING:
    from azure.keyvault.keys import KeyVaultKey

_POLICIES_VERSION = "2020-10-30-preview"
_ROLES_VERSION = "2022-04-01"
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Grants(Wire):
    keys: tuple[str, ...] | None = None
    secrets: tuple[str, ...] | None = None


class _AccessPolicy(Wire):
    object_id: str
    permissions: _Grants = _Grants()


class _NetworkRules(Wire):
    #: If absent: `AzureServices`.
    bypass: str | None = None
    default_action: str | None = None


class _Vault(VaultProperties):
    enable_soft_delete: bool | None = None
    enable_purge_protection: bool | None = None
    enable_rbac_authorization: bool | None = None
    access_policies: tuple[_AccessPolicy, ...] | None = None
    public_network_access: str | None = None
    #: If absent, all networks have access.
    network_acls: _NetworkRules | None = None


class VaultProtectionEntity(Wire):
    """A vault, as Azure Resource Manager returns it, with the settings that protect its keys."""

    id: str
    properties: _Vault

    def to_domain(self) -> KeyVault:
        """Return the vault as a `KeyVault`."""
        vault = self.properties
        rules = vault.network_acls
        return KeyVault(
            id=self.id.lower(),
            url=vault.vault_uri.rstrip("/"),
            # If absent, it is on: Azure no longer creates vaults without soft delete.
            soft_delete=vault.enable_soft_delete is not False,
            purge_protection=vault.enable_purge_protection is True,
            uses_rbac=vault.enable_rbac_authorization is True,
            key_permissions={
                grant.object_id.lower(): _normalize_permissions(grant.permissions.keys)
                for grant in vault.access_policies or ()
            },
            secret_permissions={
                grant.object_id.lower(): _normalize_permissions(grant.permissions.secrets)
                for grant in vault.access_policies or ()
            },
            public_access=vault.public_network_access or "Enabled",
            default_action=(rules and rules.default_action) or "Allow",
            lets_trusted_services_in=((rules and rules.bypass) or "AzureServices").lower()
            == "azureservices",
        )


class _KeyAttributes(Wire):
    enabled: bool = True
    #: Unix timestamps.
    nbf: int | None = None
    exp: int | None = None
    created: int | None = None


class _KeyVersion(Wire):
    attributes: _KeyAttributes = _KeyAttributes()
    kty: str = ""
    key_ops: tuple[str, ...] = ()
    key_size: int | None = None


class KeyVersionEntity(Wire):
    """A key version as returned by Azure Resource Manager."""

    id: str
    properties: _KeyVersion

    @property
    def version(self) -> str:
        """Return the last part of the id, because the format of `name` is undocumented."""
        return self.id.rpartition("/")[2]

    def to_domain(self, name: str) -> KeyVersion:
        """Return the domain object for a version of key `name`."""
        key = self.properties
        return KeyVersion(
            name=name,
            version=self.version,
            key_type=key.kty,
            size=key.key_size,
            is_enabled=key.attributes.enabled,
            valid_from=_parse_timestamp(key.attributes.nbf),
            expires_at=_parse_timestamp(key.attributes.exp),
            created_at=_parse_timestamp(key.attributes.created),
            operations=frozenset(one.lower() for one in key.key_ops),
        )


class _Assignment(Wire):
    role_definition_id: str
    scope: str
    condition: str | None = None


class AssignmentEntity(Wire):
    """A role assignment."""

    properties: _Assignment

    def to_domain(self) -> RoleAssignment:
        """Return the role assignment as a domain object."""
        assignment = self.properties
        return RoleAssignment(
            role_id=assignment.role_definition_id.rpartition("/")[2].lower(),
            scope=assignment.scope.lower(),
            is_conditional=bool(assignment.condition),
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
        """Return the domain object of an encryption policy."""
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
            # The platform uses both spellings (platform.md#enterprise-policies).
            principal_id=text_at(identity, "principalId")
            or text_at(identity, "systemAssignedIdentityPrincipalId"),
        )


class VaultKeys(Keys):
    """Implements the port `Keys` with Azure Resource Manager and the Key Vault API."""

    def __init__(self, contents: VaultClient, resources: ResourceManager) -> None:
        self._contents = contents
        self._resources = resources

    async def read_policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the configured subscriptions that can be read.

        Raises `SubscriptionsUnread` if no subscription can be read.
        """
        kind = "Microsoft.PowerPlatform/enterprisePolicies"
        try:
            found: Sequence[Mapping[str, object]] = await self._resources.list(
                kind, _POLICIES_VERSION
            )
        except SubscriptionsUnread as err:
            if err.is_all:
                raise
            found = err.found
        entities = [parse_wire(PolicyEntity, item) for item in found]
        return [entity.to_domain() for entity in entities if entity.kind.lower() == "encryption"]

    async def read_vault(self, named: str) -> KeyVault:
        if named.startswith("/"):
            answer = await self._resources.get(named, VAULTS_VERSION)
            return parse_wire(VaultProtectionEntity, answer).to_domain()
        async for item in self._resources.read_each_resource(
            "Microsoft.KeyVault/vaults", VAULTS_VERSION
        ):
            vault = parse_wire(VaultProtectionEntity, item).to_domain()
            if vault.name == named.lower():
                return vault
        message = f"No vault {named} in the configured subscriptions."
        raise NotFound(message)

    async def read_role_assignments(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        collection = "providers/Microsoft.Authorization/roleAssignments"
        condition = f"principalId eq '{principal_id}'"
        found = await self._resources.list_children(
            vault_id, collection, _ROLES_VERSION, where=condition
        )
        return [parse_wire(AssignmentEntity, item).to_domain() for item in found]

    async def read_key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        """Return every version of a key, newest first.

        If the vault rejects the read, reads the versions from Azure Resource Manager, to which the
        vault's network rules do not apply.
        """
        try:
            keys = await self._read_versions_from_vault(vault.url, name)
        except PlatformError:
            keys = await self._read_versions_from_resource_manager(vault.id, name)
        return sorted(keys, key=lambda key: key.created_at or _NEVER, reverse=True)

    async def _read_versions_from_vault(self, vault_url: str, name: str) -> list[KeyVersion]:
        """Read each version, because the list omits key type and size."""
        async with self._contents.open_keys(vault_url) as client:
            listed = [one async for one in client.list_properties_of_key_versions(name)]
        keys = []
        for properties in listed:
            async with self._contents.open_keys(vault_url) as client:
                keys.append(_build_key_version(await client.get_key(name, properties.version)))
        return keys

    async def _read_versions_from_resource_manager(
        self, vault_id: str, name: str
    ) -> list[KeyVersion]:
        """Read each version, because the list may omit details."""
        place = f"{vault_id}/keys/{name}"
        listed = await self._resources.list_children(place, "versions", VAULTS_VERSION)
        versions = [parse_wire(KeyVersionEntity, item).version for item in listed]
        return [
            parse_wire(
                KeyVersionEntity,
                await self._resources.get(f"{place}/versions/{version}", VAULTS_VERSION),
            ).to_domain(name)
            for version in versions
        ]


def _normalize_permissions(permissions: Iterable[str] | None) -> frozenset[str]:
    return frozenset(permission.lower() for permission in permissions or ())


def _parse_timestamp(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _build_key_version(found: "KeyVaultKey") -> KeyVersion:
    properties = found.properties
    modulus = found.key.n  # type: ignore[attr-defined]  # JsonWebKey sets its attributes dynamically
    return KeyVersion(
        name=found.name,
        version=properties.version or "",
        # The SDK returns an enum for known types, else a string.
        key_type=str(getattr(found.key_type, "value", found.key_type)),
        size=int.from_bytes(modulus).bit_length() if modulus else None,
        is_enabled=properties.enabled is not False,
        valid_from=properties.not_before,
        expires_at=properties.expires_on,
        created_at=properties.created_on,
        operations=frozenset(
            str(getattr(one, "value", one)).lower() for one in found.key_operations or ()
        ),
    )

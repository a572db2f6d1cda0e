"""Secrets of the watched vaults: a list shows ids only, each value is one call.

See platform.md#key-vault-secrets.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pydantic import Field

from shared.adapters.azure.key_vault import VAULTS_VERSION, VaultClient, VaultListEntity
from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.wire import Wire, read_wire
from shared.ports import Secret, Secrets


class _Attributes(Wire):
    enabled: bool = True
    #: Seconds since 1970.
    created: int = 0


class _SecretItem(Wire):
    id: str
    attributes: _Attributes = _Attributes()
    #: True: the secret half of a certificate, which nobody may write.
    managed: bool = False


class _SecretBundle(Wire):
    id: str
    value: str = Field("", repr=False)
    content_type: str | None = None
    tags: dict[str, str] | None = None


class VaultSecrets(Secrets):
    """`Secrets` by Key Vault's own API."""

    def __init__(self, contents: VaultClient, resources: ResourceManager) -> None:
        """Look in the vaults of the subscriptions that `resources` watches."""
        self._contents = contents
        self._resources = resources

    async def vaults(self) -> AsyncIterator[str]:
        """Yield the URL of every watched vault."""
        async for vault in self._resources.each("Microsoft.KeyVault/vaults", VAULTS_VERSION):
            yield read_wire(VaultListEntity, vault).properties.vault_uri.rstrip("/")

    async def list(self, vault_url: str) -> AsyncIterator[str]:
        """Yield the name of every enabled secret of a vault; raises `PlatformError` if it is
        closed.
        """
        async for item in self._contents.items(f"{vault_url}/secrets"):
            secret = read_wire(_SecretItem, item)
            if secret.attributes.enabled and not secret.managed:
                yield _last_part(secret.id)

    async def read(self, vault_url: str, name: str) -> Secret:
        """Return the current version; raises `NotFound`."""
        answer = await self._contents.read(f"{vault_url}/secrets/{name}")
        bundle = read_wire(_SecretBundle, answer)
        return Secret(
            vault_url=vault_url,
            name=name,
            value=bundle.value,
            version=_last_part(bundle.id),
            content_type=bundle.content_type,
            tags=bundle.tags or {},
        )

    async def values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        """Return the values of all versions that were added since then; raises `NotFound`."""
        place, values = f"{vault_url}/secrets/{name}", []
        async for item in self._contents.items(f"{place}/versions"):
            version = read_wire(_SecretItem, item)
            if version.attributes.enabled and version.attributes.created >= int(since.timestamp()):
                answer = await self._contents.read(f"{place}/{_last_part(version.id)}")
                values.append(read_wire(_SecretBundle, answer).value)
        return values

    async def write(self, secret: Secret, value: str) -> None:
        """Add a version with `value`, keeping content type and tags."""
        body: dict[str, object] = {"value": value, "tags": dict(secret.tags)}
        if secret.content_type is not None:
            body["contentType"] = secret.content_type
        await self._contents.put(f"{secret.vault_url}/secrets/{secret.name}", body)


def _last_part(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1]

"""Read and write secrets of the configured vaults.

A list contains only ids; each value takes one request. See platform.md#key-vault-secrets.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pydantic import Field

from shared.adapters.azure.key_vault import VAULTS_VERSION, VaultClient, VaultListEntity
from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.wire import Wire, parse_wire
from shared.ports import Secret, Secrets


class _Attributes(Wire):
    enabled: bool = True
    #: Unix timestamps.
    created: int = 0


class _SecretItem(Wire):
    id: str
    attributes: _Attributes = _Attributes()
    #: True for the secret of a certificate, which is read-only.
    managed: bool = False


class _SecretBundle(Wire):
    id: str
    value: str = Field("", repr=False)
    content_type: str | None = None
    tags: dict[str, str] | None = None


class VaultSecrets(Secrets):
    """Implements the port `Secrets` with the Key Vault API."""

    def __init__(self, contents: VaultClient, resources: ResourceManager) -> None:
        self._contents = contents
        self._resources = resources

    async def read_vault_urls(self) -> AsyncIterator[str]:
        async for vault in self._resources.read_each_resource(
            "Microsoft.KeyVault/vaults", VAULTS_VERSION
        ):
            yield parse_wire(VaultListEntity, vault).properties.vault_uri.rstrip("/")

    async def list(self, vault_url: str) -> AsyncIterator[str]:
        async for item in self._contents.read_items(f"{vault_url}/secrets"):
            secret = parse_wire(_SecretItem, item)
            if secret.attributes.enabled and not secret.managed:
                yield _get_last_segment(secret.id)

    async def read(self, vault_url: str, name: str) -> Secret:
        answer = await self._contents.read(f"{vault_url}/secrets/{name}")
        bundle = parse_wire(_SecretBundle, answer)
        return Secret(
            vault_url=vault_url,
            name=name,
            value=bundle.value,
            version=_get_last_segment(bundle.id),
            content_type=bundle.content_type,
            tags=bundle.tags or {},
        )

    async def read_values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        place, values = f"{vault_url}/secrets/{name}", []
        async for item in self._contents.read_items(f"{place}/versions"):
            version = parse_wire(_SecretItem, item)
            if version.attributes.enabled and version.attributes.created >= int(since.timestamp()):
                answer = await self._contents.read(f"{place}/{_get_last_segment(version.id)}")
                values.append(parse_wire(_SecretBundle, answer).value)
        return values

    async def write(self, secret: Secret, value: str) -> None:
        body: dict[str, object] = {"value": value, "tags": dict(secret.tags)}
        if secret.content_type is not None:
            body["contentType"] = secret.content_type
        await self._contents.put(f"{secret.vault_url}/secrets/{secret.name}", body)


def _get_last_segment(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1]

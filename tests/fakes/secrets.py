"""Fake of the port `Secrets`.

As in Key Vault, every write adds a version, and old versions stay.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from shared.errors import NotFound, PlatformError
from shared.ports import Secret
from tests.fakes.tenant import FakeSecret
from tests.fakes.world import WorldFake


class FakeSecrets(WorldFake):
    async def read_vault_urls(self) -> AsyncIterator[str]:
        for vault_url in sorted({vault_url for vault_url, _ in self._world.secrets}):
            yield vault_url

    async def list(self, vault_url: str) -> AsyncIterator[str]:
        for (place, name), secret in sorted(self._world.secrets.items()):
            if place == vault_url and secret.is_enabled:
                yield name

    async def read(self, vault_url: str, name: str) -> Secret:
        secret = self._get_secret(vault_url, name)
        if not secret.is_enabled:
            raise PlatformError("the secret is disabled", code="Forbidden", status=403)
        version = secret.versions[-1]
        return Secret(
            vault_url=vault_url,
            name=name,
            value=version.value,
            version=version.id,
            content_type=secret.content_type,
            tags=dict(secret.tags),
        )

    async def read_values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        versions = self._get_secret(vault_url, name).versions
        second = since.replace(microsecond=0)
        return [version.value for version in versions if version.created >= second]

    async def write(self, secret: Secret, value: str) -> None:
        with self._world.record_write(None, "write secret", f"{secret.vault_url}/{secret.name}"):
            fake = self._world.secrets.setdefault(
                (secret.vault_url, secret.name),
                FakeSecret(vault_url=secret.vault_url, name=secret.name, versions=[]),
            )
            fake.versions.append(self._world.create_secret_version(value))
            fake.content_type = secret.content_type
            fake.tags = dict(secret.tags)

    def _get_secret(self, vault_url: str, name: str) -> FakeSecret:
        try:
            return self._world.secrets[(vault_url, name)]
        except KeyError:
            raise NotFound(f"there is no secret {name}") from None

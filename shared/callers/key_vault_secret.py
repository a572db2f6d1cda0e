"""Read and write Key Vault secrets as callers: a write adds a version and keeps content type and
tags.

See platform.md#key-vault-secrets.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime

from shared.callers.search import UnreadableCallers, callers_in, read_remaining_ahead
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import Secrets
from shared.settings import Settings

#: Granted by infra/modules/caller-group.bicep, or by the vault's access policies.
_NEEDS = RequiredPermissions(
    fix="Add the vault's resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again,"
    " or give the app Get, List and Set on secrets where the vault has access policies.",
    resource_type="Microsoft.KeyVault/vaults",
    api_version="2026-02-01",
    data_actions=(
        "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    ),
)


class KeyVaultSecretCallers:
    """Implements `CallerKind` and `KeepsVersions`.

    Addresses are `vault URL|name`; the ETag is the version.
    """

    kind = "key_vault_secret"
    is_json = False
    is_environment_only = False
    is_assessed_separately = False
    required_permissions = _NEEDS

    def __init__(self, secrets: Secrets, settings: Settings) -> None:
        """`secrets` reads the watched vaults.

        Any app may cache a secret that it refers to, hence the `staleness`.
        """
        self._secrets = secrets
        self.old_value_lifetime = settings.secret_old_value_lifetime

    async def find(
        self,
        environments: Sequence[Environment],  # noqa: ARG002 -- vaults are outside environments
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every secret whose current version has a trigger URL."""
        search = search or CallerSearchPosition()
        unreadable = UnreadableCallers(search, self.required_permissions.fix)
        secrets: list[tuple[str, str]] = []
        async for vault_url in self._secrets.read_vaults():
            try:
                secrets += [(vault_url, name) async for name in self._secrets.list(vault_url)]
            except PlatformError as err:
                unreadable.add(f"secrets in {vault_url}", err)
        readings = read_remaining_ahead(
            search, secrets, "|".join, lambda it: self._secrets.read(*it)
        )
        async with aclosing(readings):
            async for (vault_url, name), reading in readings:
                try:
                    secret = await reading
                except NotFound:
                    continue  # deleted after it was listed
                except PlatformError as err:
                    unreadable.add(f"secret {name} in {vault_url}", err)
                    continue
                for caller in callers_in(secret.value, _build_caller(vault_url, name)):
                    yield caller
        unreadable.raise_if_any()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the current version. Raises `NotFound`."""
        secret = await self._secrets.read(*_parse_address(caller))
        return CallerContent(text=secret.value, etag=secret.version, surrounding_digests={})

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Add a version if the current one is still `value.etag`. Raises `Conflict`."""
        secret = await self._secrets.read(*_parse_address(caller))
        if secret.value == value.text:
            return
        if value.etag and secret.version != value.etag:
            raise Conflict(f"The {caller.label} has a new version")
        await self._secrets.write(secret, value.text)

    async def read_texts_since(self, caller: Caller, since: datetime) -> Sequence[str]:
        """Return the values of the versions that were added since then. Raises `NotFound`."""
        return await self._secrets.read_values_since(*_parse_address(caller), since)


def _build_caller(vault_url: str, name: str) -> Caller:
    return Caller(
        kind=KeyVaultSecretCallers.kind,
        address=f"{vault_url}|{name}",
        label=f"secret {name} in {vault_url} (apps that refer to it follow within 24 h)",
        resource_id=f"key_vault_secret/{vault_url}|{name}".lower(),
    )


def _parse_address(caller: Caller) -> tuple[str, str]:
    vault_url, _, name = caller.address.rpartition("|")
    return vault_url, name

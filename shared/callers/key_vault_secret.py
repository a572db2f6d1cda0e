"""Read and write Key Vault secrets as callers.

A write adds a version, which keeps content type and tags. See platform.md#key-vault-secrets.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    collect_items,
    convert_long_outages,
    find_callers_in_text,
    read_remaining_places_ahead,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.declared_caller import build_secret_callers
from shared.domain.callers.secret_caller import IN_KEY_VAULT, build_secret_caller
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, JobBlocked, NotFound, PlatformError, UnreadableRow
from shared.ports import DeclaredCallers, Secret, Secrets
from shared.reason import Reason
from shared.settings import Settings

#: Granted by infra/modules/caller-group.bicep, or by the vault's access policies.
_NEEDS = RequiredPermissions(
    role="secrets",
    role_purpose="Finds trigger URLs in secrets of key vaults and adds versions. Deletes nothing.",
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


class KeyVaultSecretCallers(SearchedCallers):
    """The caller kind of Key Vault secrets.

    A caller's address is `vault URL|name`. The ETag is the version.
    """

    kind = IN_KEY_VAULT
    is_json = False
    required_permissions = _NEEDS

    def __init__(
        self, secrets: Secrets, declared_callers: DeclaredCallers, settings: Settings
    ) -> None:
        self._secrets = secrets
        self._declared = declared_callers
        self.old_value_lifetime = settings.secret_old_value_lifetime

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        """Yield every secret whose current version has a trigger URL.

        Also yields each secret that a declared caller names, because the new URL will be written to
        it.
        """
        places = {one.resource_id: one for one in await self._read_declared_secrets()}
        vaults = collect_items(self._secrets.read_vault_urls())
        for vault_url in await unreadable.list_readable(vaults, "vaults"):
            try:
                with convert_long_outages():
                    async for name in self._secrets.list(vault_url):
                        place = build_secret_caller(vault_url, name)
                        places.setdefault(place.resource_id, place)
            except PlatformError as err:
                unreadable.record_place(f"secrets in {vault_url}", err)
        readings = read_remaining_places_ahead(
            unreadable.search,
            [*places.values()],
            lambda place: place.address,
            lambda place: self._secrets.read(*_parse_address(place)),
        )
        async with aclosing(readings):
            async for place, reading in readings:
                value = ""
                try:
                    with convert_long_outages():
                        value = (await reading).value
                except NotFound:
                    pass  # deleted after it was listed, or not created yet
                except PlatformError as err:
                    unreadable.record_place("secret {1} in {0}".format(*_parse_address(place)), err)
                for caller in _find_callers_in_value(value, place):
                    yield caller

    async def _read_declared_secrets(self) -> list[Caller]:
        rows = [row async for row in self._declared.scan()]
        return [
            place
            for row in rows
            if not isinstance(row, UnreadableRow)  # the kind of declared callers reports it
            for place in build_secret_callers(row.item)
        ]

    async def read(self, caller: Caller) -> CallerContent:
        secret = await self._secrets.read(*_parse_address(caller))
        return CallerContent(text=secret.value, etag=secret.version, surrounding_digests={})

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Add a version if the current one is still `value.etag`.

        Creates a missing secret if a declared caller names it. Raises `JobBlocked` if a deleted
        secret has its name.
        """
        vault_url, name = _parse_address(caller)
        try:
            secret = await self._secrets.read(vault_url, name)
        except NotFound:
            if value.etag or not caller.is_created_if_missing:
                raise
            await self._create_secret(caller, value.text)
            return
        if secret.value == value.text:
            return
        if secret.version != value.etag:
            raise Conflict(f"The {caller.label} has a new version")
        await self._secrets.write(secret, value.text)

    async def _create_secret(self, caller: Caller, value: str) -> None:
        vault_url, name = _parse_address(caller)
        new = Secret(
            vault_url=vault_url,
            name=name,
            value="",
            version="",
            content_type=None,
            tags=dict(caller.tags),
        )
        try:
            await self._secrets.write(new, value)
        except Conflict as err:
            raise JobBlocked(
                f"The {caller.label} cannot be created, because a deleted secret has its name.",
                fix=f"Recover the secret {name} of {vault_url}, or declare the caller with "
                "another secret. Then retry.",
                code=Reason.MANUAL_CALLER,
            ) from err

    async def read_texts_since(self, caller: Caller, since: datetime) -> Sequence[str]:
        return await self._secrets.read_values_since(*_parse_address(caller), since)


def _find_callers_in_value(value: str, place: Caller) -> list[Caller]:
    """Return the callers that a secret's value contains.

    A secret that a declared caller names is always one caller, even without a URL.
    """
    found = [*find_callers_in_text(value, place)]
    if not place.is_created_if_missing:
        return found
    caller = found[0] if found else place
    return [replace(caller, trigger_url_ids=caller.trigger_url_ids | place.trigger_url_ids)]


def _parse_address(caller: Caller) -> tuple[str, str]:
    vault_url, _, name = caller.address.rpartition("|")
    return vault_url, name

"""Serve the recycle bin and the backups of a vault (platform.md#vault-api).

A deleted key or secret can be recovered or purged. With purge protection, it cannot be purged. A
client cannot read a backup, which remains valid after its item is deleted.
"""

import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.vault_call import (
    VaultCall,
    VaultHandler,
    build_deleted_error,
    build_parameter_error,
    build_vault_route,
    require_existing,
)
from local_cloud.tenant.azure.vault_contents import (
    Key,
    SimulatedSecret,
    VaultContents,
    convert_to_epoch,
)
from local_cloud.tenant.azure.vault_keys import build_key_bundle, build_key_item
from local_cloud.tenant.azure.vault_secrets import build_secret_bundle, build_secret_item
from local_cloud.tenant.core.platform_error import SimulatedPlatformError


@dataclass(slots=True)
class _Backups:
    """The backed-up items, each by the text that the client got as its backup."""

    taken: dict[str, Key | SimulatedSecret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind[Item: (Key, SimulatedSecret)]:
    name: str
    type: type[Item]
    live: Callable[[VaultContents], dict[str, Item]]
    binned: Callable[[VaultContents], dict[str, Item]]
    bundle: Callable[[VaultCall, Item], JsonObject]
    item: Callable[[VaultCall, Item], JsonObject]

    def build_routes(self) -> list[Route]:
        one, deleted = f"/{self.name}s/{{name}}", f"/deleted{self.name}s/{{name}}"
        table: tuple[tuple[str, str, str, VaultHandler], ...] = (
            ("DELETE", one, f"delete_{self.name}", self.delete),
            ("POST", f"{one}/backup", f"backup_{self.name}", self.backup),
            ("POST", f"/{self.name}s/restore", f"restore_{self.name}", self.restore),
            ("GET", f"/deleted{self.name}s", f"list_deleted_{self.name}s", self.list_deleted),
            ("GET", deleted, f"get_deleted_{self.name}", self.get_deleted),
            ("DELETE", deleted, f"purge_deleted_{self.name}", self.purge),
            ("POST", f"{deleted}/recover", f"recover_deleted_{self.name}", self.recover),
        )
        return [
            build_vault_route(method, path, handler, name) for method, path, name, handler in table
        ]

    async def delete(self, call: VaultCall) -> JsonObject:
        found = self._require_existing(call, self.live(call.vault))
        found.deleted = call.now
        self.binned(call.vault)[found.name.lower()] = self.live(call.vault).pop(found.name.lower())
        return self.bundle(call, found) | self._build_bin_entry(call, found)

    async def list_deleted(self, call: VaultCall) -> JsonObject:
        binned = self.binned(call.vault).values()
        return call.build_page(
            [self.item(call, one) | self._build_bin_entry(call, one) for one in binned]
        )

    async def get_deleted(self, call: VaultCall) -> JsonObject:
        found = self._require_existing(call, self.binned(call.vault))
        return self.bundle(call, found) | self._build_bin_entry(call, found)

    async def recover(self, call: VaultCall) -> JsonObject:
        found = self._require_existing(call, self.binned(call.vault))
        found.deleted = None
        self.live(call.vault)[found.name.lower()] = self.binned(call.vault).pop(found.name.lower())
        return self.bundle(call, found)

    async def purge(self, call: VaultCall) -> Response:
        found = self._require_existing(call, self.binned(call.vault))
        if call.is_purge_protected:
            message = (
                'Operation "purge" is not allowed because purge protection is enabled for this '
                "vault. Key Vault service will automatically purge it after the retention period "
                "has passed."
            )
            raise SimulatedPlatformError(403, "Forbidden", message)
        del self.binned(call.vault)[found.name.lower()]
        return Response(status_code=204)

    async def backup(self, call: VaultCall) -> JsonObject:
        found = self._require_existing(call, self.live(call.vault))
        blob = secrets.token_urlsafe(48)
        call.tenant.get_part(_Backups).taken[blob] = deepcopy(found)
        return {"value": blob}

    async def restore(self, call: VaultCall) -> JsonObject:
        taken = call.tenant.get_part(_Backups).taken.get(str((await call.read_json()).get("value")))
        if not isinstance(taken, self.type):
            raise build_parameter_error(f"The backup is not one of a {self.name}.")
        restored, name = deepcopy(taken), taken.name.lower()
        if name in self.binned(call.vault):
            raise build_deleted_error(self.name.capitalize(), taken.name)
        if name in self.live(call.vault):
            message = f"The {self.name} '{taken.name}' exists already."
            raise SimulatedPlatformError(409, "Conflict", message)
        self.live(call.vault)[name] = restored
        return self.bundle(call, restored)

    def _require_existing(self, call: VaultCall, among: dict[str, Item]) -> Item:
        return require_existing(call, self.name, among.get(call.get_path_part("name").lower()))

    def _build_bin_entry(self, call: VaultCall, found: Item) -> JsonObject:
        assert found.deleted is not None
        days = call.build_attributes(found.latest.attributes)["recoverableDays"]
        return {
            "recoveryId": f"{call.url}/deleted{self.name}s/{found.name}",
            "deletedDate": convert_to_epoch(found.deleted),
            "scheduledPurgeDate": convert_to_epoch(found.deleted + timedelta(days=days)),
        }


_KEYS = _Kind[Key](
    name="key",
    type=Key,
    live=lambda vault: vault.keys,
    binned=lambda vault: vault.deleted_keys,
    bundle=build_key_bundle,
    item=build_key_item,
)
_SECRETS = _Kind[SimulatedSecret](
    name="secret",
    type=SimulatedSecret,
    live=lambda vault: vault.secrets,
    binned=lambda vault: vault.deleted_secrets,
    bundle=build_secret_bundle,
    item=build_secret_item,
)


def build_routes() -> list[Route]:
    return [*_KEYS.build_routes(), *_SECRETS.build_routes()]

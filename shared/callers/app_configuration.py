"""Read and write key-values of App Configuration as callers.

A reference to a Key Vault secret is no caller: its secret is.
"""

import json
from collections.abc import AsyncIterator, Sequence

from shared.callers.search import UnreadableCallers, callers_in
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, PlatformError
from shared.ports import AppConfiguration, KeyValue
from shared.settings import Settings


class AppConfigurationCallers:
    """Implements `CallerKind`. Addresses are JSON lists of store URL, key and label."""

    kind = "app_configuration"
    is_json = False
    is_environment_only = False
    is_assessed_separately = False
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="app configuration",
        role_purpose="Finds and replaces trigger URLs in key-values of App "
        "Configuration. Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
        resource_type="Microsoft.AppConfiguration/configurationStores",
        api_version="2024-05-01",
        data_actions=(
            "Microsoft.AppConfiguration/configurationStores/keyValues/read",
            "Microsoft.AppConfiguration/configurationStores/keyValues/write",
        ),
    )

    def __init__(self, app_configuration: AppConfiguration, settings: Settings) -> None:
        """Apps read key-values when they choose, like secrets, hence `settings`."""
        self._stores = app_configuration
        self.old_value_lifetime = settings.secret_old_value_lifetime

    async def find(
        self,
        environments: Sequence[Environment],  # noqa: ARG002 -- stores are outside environments
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every key-value with a trigger URL."""
        search = search or CallerSearchPosition()
        unreadable = UnreadableCallers(search, self.required_permissions.fix)
        urls = [url async for url in self._stores.read_stores()]
        for url in search.remaining(urls, str):
            try:
                found = await self._stores.list(url)
            except PlatformError as err:
                unreadable.add(f"App Configuration {url}", err)
                continue
            for key_value in found:
                for caller in callers_in(key_value.value, _build_caller(key_value)):
                    yield caller
        unreadable.raise_if_any()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the value. Raises `NotFound`."""
        key_value = await self._read(caller)
        return CallerContent(text=key_value.value, etag=key_value.etag)

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the value if it still has `value.etag`. Raises `Conflict` and `NotFound`."""
        key_value = await self._read(caller)
        if key_value.value == value.text:
            return
        if value.etag not in {"", key_value.etag}:
            raise Conflict(f"The {caller.label} was changed")
        await self._stores.write(key_value, value.text)

    async def _read(self, caller: Caller) -> KeyValue:
        store_url, key, label = json.loads(caller.address)
        return await self._stores.read(store_url, key, label)


def _build_caller(key_value: KeyValue) -> Caller:
    address = json.dumps([key_value.store_url, key_value.key, key_value.label])
    label = f" (label {key_value.label})" if key_value.label else ""
    return Caller(
        kind=AppConfigurationCallers.kind,
        address=address,
        label=f"key {key_value.key}{label} in {key_value.store_url}",
        resource_id=f"{AppConfigurationCallers.kind}/{address}",
        manual_reason=(
            "It is locked. Unlock it, or change it yourself." if key_value.is_locked else ""
        ),
    )

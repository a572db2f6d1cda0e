"""Read and write key-values of App Configuration as callers.

See platform.md#app-configuration.
"""

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    build_manual_caller_error,
    collect_items,
    compute_max_url_length,
    convert_long_outages,
    find_callers_in_text,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.url_secret import (
    build_reference_to_uri,
    find_secret_uri,
    is_url_secret_reference,
)
from shared.domain.definitions.json_values import as_mapping, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import AppConfiguration, KeyValue
from shared.settings import Settings

#: The content type of a reference (platform.md#app-configuration).
_REFERENCE = "application/vnd.microsoft.appconfig.keyvaultref+json;charset=utf-8"
_LOCKED = "It is locked. Unlock it, or change it yourself."
#: Most characters of key, label, value, content type and tags together.
_LONGEST = 10_000
_TOO_LONG = (
    f"With the new URL, it has more than {_LONGEST:,} characters (key, label, value, content type "
    "and tags), and App Configuration rejects that. Shorten it."
)


class AppConfigurationCallers(SearchedCallers):
    """The caller kind of App Configuration key-values.

    A caller's address is a JSON list of store URL, key and label.
    """

    kind = "app_configuration"
    is_json = False
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
        self._stores = app_configuration
        self.old_value_lifetime = settings.secret_old_value_lifetime

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        stores = collect_items(self._stores.read_stores())
        urls = await unreadable.list_readable(stores, "App Configuration stores")
        for url in unreadable.search.list_remaining_places(urls, str):
            try:
                with convert_long_outages():
                    found = await self._stores.list(url)
            except PlatformError as err:
                unreadable.record_place(f"App Configuration {url}", err)
                continue
            for key_value in found:
                for caller in find_callers_in_text(key_value.value, _build_caller(key_value)):
                    yield caller

    async def read(self, caller: Caller) -> CallerContent:
        key_value = await self._read_key_value(caller)
        is_in_vault = is_url_secret_reference(_get_text(key_value))
        return CallerContent(
            text=_get_text(key_value),
            etag=key_value.etag,
            text_format=None if is_in_vault else json.dumps(key_value.content_type),
        )

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the value if the key-value still has `value.etag`.

        `value.text_format` is the content type of the new value, as JSON. Raises `JobBlocked` if
        the key-value is locked or becomes too long.
        """
        key_value = await self._read_key_value(caller)
        text, content_type = value.text, key_value.content_type
        if value.text_format is not None:
            content_type = json.loads(value.text_format)
        if uri := find_secret_uri(text):
            text, content_type = json.dumps({"uri": uri}, separators=(",", ":")), _REFERENCE
        if (key_value.value, key_value.content_type) == (text, content_type):
            return
        if value.etag not in {"", key_value.etag}:
            raise Conflict(f"The {caller.label} was changed")
        if key_value.is_locked:
            raise build_manual_caller_error(caller, _LOCKED)
        try:
            await self._stores.write(replace(key_value, content_type=content_type), text)
        except PlatformError as err:
            if err.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            raise build_manual_caller_error(caller, _TOO_LONG) from err

    async def find_secret_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return "" for each address, because it is unknown which apps read the references."""
        return dict.fromkeys(secrets, "")

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return nothing: the apps that read the references resolve them, not the store."""
        del addresses
        return {}

    async def find_reader_evidence(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return, by address, how many keys of its store are Key Vault references already.

        If the keys cannot be read, returns the reason instead.
        """
        found: dict[str, str] = {}
        by_store: dict[str, str] = {}
        for address in addresses:
            store_url = json.loads(address)[0]
            if store_url not in by_store:
                by_store[store_url] = await self._describe_references(store_url)
            found[address] = by_store[store_url]
        return found

    async def _describe_references(self, store_url: str) -> str:
        try:
            key_values = await self._stores.list(store_url)
        except (NotFound, PlatformError) as err:
            return f"The app cannot read the other keys of {store_url}: {err}"
        number = sum(_is_reference(one) for one in key_values)
        if not number:
            return f"No key of {store_url} is a Key Vault reference."
        keys = "1 key" if number == 1 else f"{number:,} keys"
        verb = "is a Key Vault reference" if number == 1 else "are Key Vault references"
        return f"{keys} of {store_url} already {verb}: its readers seem to resolve them."

    async def _read_key_value(self, caller: Caller) -> KeyValue:
        store_url, key, label = json.loads(caller.address)
        return await self._stores.read(store_url, key, label)


def _is_reference(key_value: KeyValue) -> bool:
    """Return whether a key-value is a reference to a secret."""
    kind = (key_value.content_type or "").partition(";")[0].strip().lower()
    return kind == _REFERENCE.partition(";")[0]


def _get_text(key_value: KeyValue) -> str:
    """Return the value of a key-value, or a reference in the format of `build_reference_to_uri`."""
    if not _is_reference(key_value):
        return key_value.value
    try:
        uri = text_at(as_mapping(json.loads(key_value.value)), "uri")
    except ValueError:
        return key_value.value
    return build_reference_to_uri(uri) if uri else key_value.value


def _build_caller(key_value: KeyValue) -> Caller:
    address = json.dumps([key_value.store_url, key_value.key, key_value.label])
    label = f" (label {key_value.label})" if key_value.label else ""
    others = (key_value.key, key_value.label, key_value.content_type or "")
    rest = sum(map(len, (*others, *key_value.tags, *key_value.tags.values())))
    return Caller(
        kind=AppConfigurationCallers.kind,
        address=address,
        label=f"key {key_value.key}{label} in {key_value.store_url}",
        resource_id=f"{AppConfigurationCallers.kind}/{address}",
        manual_reason=_LOCKED if key_value.is_locked else "",
        max_url_length=compute_max_url_length(key_value.value, _LONGEST - rest),
    )

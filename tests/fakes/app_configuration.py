"""Fake of the port `AppConfiguration`: key-values with ETags and locks."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import KeyValue
from tests.fakes.world import World, WorldFake

REFERENCE_TYPE = "application/vnd.microsoft.appconfig.keyvaultref+json;charset=utf-8"
#: Most characters of key, label, value, content type and tags together.
_LONGEST = 10_000


def read_key_value(world: World, place: tuple[str, str, str]) -> str:
    """Return the text of a key-value, or the value of the Key Vault secret to which it refers."""
    key_value = world.key_values[place]
    if key_value.content_type != REFERENCE_TYPE:
        return key_value.value
    vault_url, _, name = json.loads(key_value.value)["uri"].partition("/secrets/")
    return world.secrets[vault_url, name].value


class FakeAppConfiguration(WorldFake):
    async def read_stores(self) -> AsyncIterator[str]:
        for store_url in sorted({store_url for store_url, *_ in self._world.key_values}):
            yield store_url

    async def list(self, store_url: str) -> list[KeyValue]:
        return [one for one in self._world.key_values.values() if one.store_url == store_url]

    async def read(self, store_url: str, key: str, label: str) -> KeyValue:
        try:
            return self._world.key_values[store_url, key, label]
        except KeyError:
            raise NotFound(f"there is no key {key}") from None

    async def write(self, key_value: KeyValue, value: str) -> None:
        place = (key_value.store_url, key_value.key, key_value.label)
        there = self._world.key_values[place]
        if there.is_locked or there.etag != key_value.etag:
            raise Conflict(f"the key {key_value.key} is locked, or was changed")
        texts = (key_value.key, key_value.label, value, key_value.content_type or "")
        if sum(map(len, (*texts, *key_value.tags, *key_value.tags.values()))) > _LONGEST:
            raise PlatformError("the service gave no reason", code="Http413", status=413)
        etag = str(int(key_value.etag) + 1)
        with self._world.record_write(None, "write key-value", "|".join(place)):
            self._world.key_values[place] = replace(key_value, value=value, etag=etag)

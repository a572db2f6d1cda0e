"""Compute the secrets that the containers of a fake container app read.

Containers read the secrets when they start. If a secret in Key Vault changes, Azure fetches it
within 30 minutes and restarts the containers.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.errors import PlatformError
from tests.fakes.vault_references import fetch_secret
from tests.fakes.world import World

REFRESH_AFTER = timedelta(minutes=30)


def start_containers(world: World, path: str) -> None:
    """Restart the containers, which then read the secrets.

    `path` is the resource id in lower case.
    """
    world.secrets_in_use[path] = _read_secrets(world, world.resources[path])
    world.containers_started[path] = world.clock.now()


def _read_secrets(world: World, app: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for one in _list_secrets(app):
        value = text_at(one, "value") or ""
        if uri := text_at(one, "keyVaultUrl"):
            with suppress(PlatformError):  # the container does not start, or has no value
                value = _fetch_value(world, app, one, uri)
        found[str(one["name"])] = value
    return found


def require_readable_secrets(
    world: World, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Raise `PlatformError` if a change adds a reference to a Key Vault secret that the container
    app may not read.
    """
    known = {text_at(one, "keyVaultUrl") for one in _list_secrets(before)}
    for one in _list_secrets(after):
        uri = text_at(one, "keyVaultUrl")
        if uri and uri not in known:
            _fetch_value(world, after, one, uri)


def read_secret_in_use(world: World, path: str, name: str) -> str:
    """Return the value of a secret that the containers have read, or "". Restarts the containers if
    this is due.
    """
    started = world.containers_started.get(path)
    is_in_vault = any("keyVaultUrl" in one for one in _list_secrets(world.resources[path]))
    if is_in_vault and (not started or world.clock.now() - started >= REFRESH_AFTER):
        start_containers(world, path)
    return world.secrets_in_use[path].get(name, "")


def _list_secrets(app: Mapping[str, object]) -> list[Mapping[str, object]]:
    return objects_at(mapping_at(app, "properties", "configuration"), "secrets")


def _fetch_value(
    world: World, app: Mapping[str, object], secret: Mapping[str, object], uri: str
) -> str:
    identity = text_at(secret, "identity") or ""
    return fetch_secret(world, app, uri, identity="" if identity == "system" else identity)

"""Read and write settings of App Service and Functions apps as callers.

The platform replaces all settings of an app at once and has no ETag (platform.md#app-settings). So
the settings are compared before a write and after it. The `resource_id` of a caller is that of the
app, so that only one job at a time writes the app's settings.
"""

import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import override
from urllib.parse import urlsplit

from shared.callers.named_values import build_contents, get_resource_id, get_value_name
from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    collect_items,
    convert_long_outages,
    find_callers_in_text,
)
from shared.callers.secret_rights import SecretRights
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.environment import Environment
from shared.domain.keys.secret_access import SecretReader
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError, SubscriptionsUnread
from shared.ports import AppSettings, Keys, Secrets, Site

_REFERENCE = re.compile(r"\s*@Microsoft\.KeyVault\((?P<inside>.*)\)\s*", re.IGNORECASE | re.DOTALL)
_SECRET_URI = re.compile(
    r"SecretUri=https://(?P<vault>[^/.]+)[^/]*/secrets/(?P<name>[^/;\s]+)/?(?P<version>[^/;\s]*)/?",
    re.IGNORECASE,
)
#: Status of a Key Vault reference (platform.md#key-vault-references).
_RESOLVED = "Resolved"
_PINNED = (
    "It refers to a fixed version of a Key Vault secret. Refer to the secret without a version, or "
    "to the version with the new URL."
)
#: Granted by infra/modules/caller-group.bicep.
_NEEDS = RequiredPermissions(
    role="app settings",
    role_purpose="Finds and replaces trigger URLs in app settings and connection "
    "strings. Allows writing the whole configuration of apps.",
    fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
    resource_type="Microsoft.Web/sites",
    api_version="2024-11-01",
    actions=(
        "Microsoft.Web/sites/read",
        "Microsoft.Web/sites/config/list/action",
        "Microsoft.Web/sites/config/write",
        "Microsoft.Web/sites/slots/read",
        "Microsoft.Web/sites/slots/config/list/action",
        "Microsoft.Web/sites/slots/config/write",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """A setting's reference to a Key Vault secret: the parts of `@Microsoft.KeyVault(…)`."""

    #: Name of the vault, in lower case.
    vault: str
    name: str
    #: Empty: the newest.
    version: str


@dataclass(frozen=True, slots=True)
class _Watched:
    #: URL of the vault and name of the secret, by vault and name in lower case.
    places: Mapping[tuple[str, str], tuple[str, str]]
    #: Vaults, in lower case, whose secrets the app may not list.
    closed: Mapping[str, PlatformError]


class AppSettingCallers(SearchedCallers):
    """The caller kind of app settings. A caller's address is `app's resource id|setting`."""

    kind = "app_setting"
    noun = "setting"
    is_json = False
    #: A write restarts the App Service app, so no old value remains in use.
    old_value_lifetime = timedelta(0)
    required_permissions = _NEEDS

    def __init__(self, app_settings: AppSettings, secrets: Secrets, keys: Keys) -> None:
        self._settings = app_settings
        self._secrets = secrets
        self._keys = keys

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        """Yield every setting with a trigger URL.

        This includes a reference to a fixed version of a secret, if the secret has a trigger URL. A
        reference without a version is not a caller, but its secret is.
        """
        watched: _Watched | None = None
        sites = await unreadable.list_readable(self._settings.read_sites(), "apps")
        readings = unreadable.read_readable_places(
            sites, _get_site_id, self._read_site_settings, lambda site: f"app {site.name}"
        )
        async with aclosing(readings):
            async for site, settings in readings:
                for name, value in settings.items():
                    reference = parse_reference(value)
                    if reference and reference.version:
                        watched = await self._list_watched_secrets() if watched is None else watched
                        try:
                            value = await self._read_pinned_secret(reference, watched)
                        except PlatformError as err:
                            unreadable.record_place(
                                f"secret {reference.name} in {reference.vault}", err
                            )
                            continue
                    for caller in find_callers_in_text(
                        value, self._build_caller(site, name, reference)
                    ):
                        yield caller

    async def _read_site_settings(self, site: Site) -> Mapping[str, str]:
        return await self._settings.read(site.id)

    async def read(self, caller: Caller) -> CallerContent:
        try:
            return (await self.read_all([caller]))[caller.address]
        except KeyError:
            raise NotFound(f"The {caller.label} no longer exists") from None

    async def write(self, caller: Caller, value: CallerContent) -> None:
        await self.write_all([(caller, value)])

    async def read_all(self, callers: Sequence[Caller]) -> Mapping[str, CallerContent]:
        """Return those settings of one app that exist, by address.

        Their ETag is a digest of all settings of the app.
        """
        try:
            settings = await self._settings.read(get_resource_id(callers))
        except NotFound:
            return {}
        return build_contents(settings, callers)

    async def write_all(self, values: Sequence[tuple[Caller, CallerContent]]) -> None:
        """Replace settings of one App Service app, which restarts once, and read them back.

        Raises `Conflict` if any of the app's settings has changed since the read, or if other
        settings are read back. Raises `NotFound` if the app does not exist.
        """
        callers = [caller for caller, _ in values]
        site_id, label = get_resource_id(callers), callers[0].label
        before = await self._settings.read(site_id)
        wanted = before | {get_value_name(caller): value.text for caller, value in values}
        if wanted == before:
            return
        current = build_contents(before, callers)
        for caller, value in values:
            now = current.get(caller.address)
            if now is None or value.etag not in {"", now.etag}:
                raise Conflict(f"The settings beside the {label} were changed")
        await self._settings.write(site_id, wanted)
        if await self._settings.read(site_id) != wanted:
            raise Conflict(f"The settings beside the {label} were changed by somebody else")

    async def find_secret_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return, by address, why an app or a slot of it may be unable to read its secret.

        The reason is "" if all can read it. Slots are checked because they can exchange their
        settings with the app.
        """
        rights = SecretRights(self._keys)
        readers: dict[str, Sequence[SecretReader]] = {}
        found = {}
        for address, secret in secrets.items():
            site_id = address.partition("|")[0]
            try:
                if site_id not in readers:
                    readers[site_id] = await self._settings.read_secret_readers(site_id)
                found[address] = await rights.find_secret_obstacle(secret, readers[site_id])
            except (NotFound, PlatformError) as err:
                found[address] = f"The app cannot check who may read the secret: {err}"
        return found

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        found = {}
        for site_id in {address.partition("|")[0] for address in addresses}:
            statuses: Mapping[str, str] = {}
            unknown = "no status"
            try:
                statuses = await self._settings.read_reference_statuses(site_id)
            except (NotFound, PlatformError) as err:
                unknown = str(err)
            for address in addresses:
                status = statuses.get(address.rpartition("|")[2], unknown)
                if address.startswith(f"{site_id}|") and status != _RESOLVED:
                    found[address] = status
        return found

    def _build_caller(self, site: Site, name: str, reference: SecretReference | None) -> Caller:
        pinned = reference is not None and bool(reference.version)
        label = f"{self.noun} {name} of the app {site.name}"
        reason = _PINNED if pinned else ""
        return self.build_place(f"{site.id}|{name}", label, reason, resource=site.id)

    async def _list_watched_secrets(self) -> _Watched:
        places: dict[tuple[str, str], tuple[str, str]] = {}
        closed: dict[str, PlatformError] = {}
        try:
            vaults = await collect_items(self._secrets.read_vault_urls())
        except SubscriptionsUnread as err:  # the search for secrets reports it
            vaults = [*err.found]
        for vault_url in vaults:
            vault = urlsplit(vault_url).netloc.partition(".")[0].lower()
            try:
                with convert_long_outages():
                    async for name in self._secrets.list(vault_url):
                        places[vault, name.lower()] = (vault_url, name)
            except PlatformError as err:
                closed[vault] = err
        return _Watched(places, closed)

    async def _read_pinned_secret(self, reference: SecretReference, watched: _Watched) -> str:
        """Return the current value of the secret, or "" if no watched vault contains it.

        A setting can name any address, and the app must send its token only to watched vaults. A
        URL in an old version is not found.
        """
        if error := watched.closed.get(reference.vault):
            raise error
        place = watched.places.get((reference.vault, reference.name.lower()))
        if place is None:
            return ""
        try:
            return (await self._secrets.read(*place)).value
        except NotFound:
            return ""  # deleted after it was listed


def parse_reference(value: str) -> SecretReference | None:
    """Return the secret that a setting's value refers to, or None if it is not a reference."""
    reference = _REFERENCE.fullmatch(value)
    if reference is None:
        return None
    inside = reference["inside"].strip()
    if uri := _SECRET_URI.fullmatch(inside):
        return SecretReference(vault=uri["vault"].lower(), name=uri["name"], version=uri["version"])
    pairs = (part.partition("=") for part in inside.split(";"))
    parts = {name.strip().lower(): text.strip() for name, _, text in pairs}
    if not (parts.get("vaultname") and parts.get("secretname")):
        return None
    return SecretReference(
        vault=parts["vaultname"].lower(),
        name=parts["secretname"],
        version=parts.get("secretversion", ""),
    )


def _get_site_id(site: Site) -> str:
    return site.id

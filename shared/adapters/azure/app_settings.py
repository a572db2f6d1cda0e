"""Read and replace all settings, or all connection strings, of App Service and Functions apps.

See platform.md#app-settings.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.keys.secret_access import SecretReader
from shared.errors import SubscriptionsUnread
from shared.ports import AppSettings, Site

_VERSION = "2024-11-01"


#: Value of `keyVaultReferenceIdentity` if no identity is chosen.
_SYSTEM_ASSIGNED = "SystemAssigned"


class _SiteProperties(Wire):
    default_host_name: str | None = None
    host_names: tuple[str, ...] | None = None
    #: Resource id of a user-assigned identity, or `SystemAssigned`.
    key_vault_reference_identity: str | None = None


class _AssignedIdentity(Wire):
    principal_id: str | None = None


class _Identity(_AssignedIdentity):
    user_assigned_identities: dict[str, _AssignedIdentity] | None = None


class SiteEntity(Wire):
    """An App Service or Functions app, or a slot, as Azure Resource Manager lists it."""

    id: str
    name: str
    #: Words that are separated by commas, such as `functionapp,workflowapp`.
    kind: str | None = None
    properties: _SiteProperties = _SiteProperties()
    identity: _Identity | None = None

    def to_domain(self) -> Site:
        """Return the app or slot as a `Site`."""
        names = [self.properties.default_host_name, *(self.properties.host_names or ())]
        hosts = dict.fromkeys(name.lower() for name in names if name)
        is_workflow_app = "workflowapp" in (self.kind or "").lower().split(",")
        return Site(id=self.id, name=self.name, hosts=tuple(hosts), is_workflow_app=is_workflow_app)

    def to_secret_reader(self) -> SecretReader:
        """Return the app or slot with the identity that resolves its Key Vault references."""
        identity = self.identity or _Identity()
        chosen = self.properties.key_vault_reference_identity or _SYSTEM_ASSIGNED
        found: _AssignedIdentity | None = identity
        if chosen.lower() != _SYSTEM_ASSIGNED.lower():
            assigned = (identity.user_assigned_identities or {}).items()
            found = next((one for path, one in assigned if path.lower() == chosen.lower()), None)
        return SecretReader(name=self.name, principal_id=(found and found.principal_id) or "")


class _Settings(Wire):
    #: Secret values: `Wire` hides input in errors.
    properties: dict[str, str] | None = Field(None, repr=False)


class _Reference(Wire):
    status: str = ""


class _ReferenceEntity(Wire):
    name: str
    properties: _Reference = _Reference()


class _ConnectionString(Wire):
    type: str
    value: str | None = Field(None, repr=False)


class _ConnectionStrings(Wire):
    properties: dict[str, _ConnectionString] | None = Field(None, repr=False)


class SiteAppSettings(AppSettings):
    """Implements the port `AppSettings` with Azure Resource Manager."""

    _references: ClassVar = "config/configreferences/appsettings"

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources

    async def read_sites(self) -> list[Site]:
        """Return every app of the configured subscriptions, and every slot (`app/slot`).

        If a subscription cannot be read, raises `SubscriptionsUnread` with the sites of the others
        in `found`.
        """
        sites: list[Site] = []
        unread: SubscriptionsUnread | None = None
        for listing in (
            self._resources.read_each_resource("Microsoft.Web/sites", _VERSION),
            self._resources.read_each_child("Microsoft.Web/sites/slots"),
        ):
            try:
                async for item in listing:
                    site = parse_wire(SiteEntity, item).to_domain()
                    sites.append(site)
            except SubscriptionsUnread as err:
                unread = err
        if unread:
            unread.found = sites
            raise unread
        return sites

    async def read(self, site_id: str) -> dict[str, str]:
        answer = await self._resources.send("POST", f"{site_id}/config/appsettings/list", _VERSION)
        return parse_wire(_Settings, answer).properties or {}

    async def read_secret_readers(self, site_id: str) -> Sequence[SecretReader]:
        app_id = "/".join(site_id.split("/")[:9])
        app = await self._resources.get(app_id, _VERSION)
        slots = await self._resources.list_children(app_id, "slots", _VERSION)
        return [parse_wire(SiteEntity, one).to_secret_reader() for one in (app, *slots)]

    async def read_reference_statuses(self, site_id: str) -> Mapping[str, str]:
        found = await self._resources.list_children(site_id, self._references, _VERSION)
        entities = [parse_wire(_ReferenceEntity, one) for one in found]
        return {one.name: one.properties.status for one in entities}

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        body = {"properties": dict(settings)}
        await self._resources.send("PUT", f"{site_id}/config/appsettings", _VERSION, body=body)


class SiteConnectionStrings(SiteAppSettings):
    """Implements the port `AppSettings` for connection strings, each named `type|name`."""

    _references = "config/configreferences/connectionstrings"

    async def read(self, site_id: str) -> dict[str, str]:
        path = f"{site_id}/config/connectionstrings/list"
        answer = await self._resources.send("POST", path, _VERSION)
        found = parse_wire(_ConnectionStrings, answer).properties or {}
        return {f"{one.type}|{name}": one.value or "" for name, one in found.items()}

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        properties = {
            name: {"type": kind, "value": value}
            for key, value in settings.items()
            for kind, _, name in [key.partition("|")]
        }
        path = f"{site_id}/config/connectionstrings"
        await self._resources.send("PUT", path, _VERSION, body={"properties": properties})

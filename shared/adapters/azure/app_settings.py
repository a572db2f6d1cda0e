"""Read and replace all settings, or all connection strings, of App Service and Functions apps.

See platform.md#app-settings.
"""

from collections.abc import Mapping

from pydantic import Field

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.wire import Wire, read_wire
from shared.ports import AppSettings, Site

_VERSION = "2024-11-01"


class _SiteProperties(Wire):
    default_host_name: str | None = None
    host_names: tuple[str, ...] | None = None


class SiteEntity(Wire):
    """An app in the list of sites."""

    id: str
    name: str
    properties: _SiteProperties = _SiteProperties()

    def to_domain(self) -> Site:
        """Return the app or slot as a `Site`."""
        names = [self.properties.default_host_name, *(self.properties.host_names or ())]
        hosts = dict.fromkeys(name.lower() for name in names if name)
        return Site(id=self.id, name=self.name, hosts=tuple(hosts))


class _Settings(Wire):
    #: Secret values: `Wire` hides input in errors.
    properties: dict[str, str] | None = Field(None, repr=False)


class _ConnectionString(Wire):
    type: str
    value: str | None = Field(None, repr=False)


class _ConnectionStrings(Wire):
    properties: dict[str, _ConnectionString] | None = Field(None, repr=False)


class SiteAppSettings(AppSettings):
    """`AppSettings` by Azure Resource Manager."""

    def __init__(self, resources: ResourceManager) -> None:
        """Use the subscriptions of `resources`."""
        self._resources = resources

    async def read_sites(self) -> list[Site]:
        """Return every app of the configured subscriptions, and every slot (`app/slot`)."""
        sites = [
            read_wire(SiteEntity, item).to_domain()
            async for item in self._resources.each("Microsoft.Web/sites", _VERSION)
        ]
        slots = self._resources.each_tracked("Microsoft.Web/sites/slots")
        return sites + [read_wire(SiteEntity, item).to_domain() async for item in slots]

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""
        answer = await self._resources.send("POST", f"{site_id}/config/appsettings/list", _VERSION)
        return read_wire(_Settings, answer).properties or {}

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app, which restarts it."""
        body = {"properties": dict(settings)}
        await self._resources.send("PUT", f"{site_id}/config/appsettings", _VERSION, body=body)


class SiteConnectionStrings(SiteAppSettings):
    """`AppSettings` of the connection strings, each named `type|name`."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all connection strings of an app."""
        path = f"{site_id}/config/connectionstrings/list"
        answer = await self._resources.send("POST", path, _VERSION)
        found = read_wire(_ConnectionStrings, answer).properties or {}
        return {f"{one.type}|{name}": one.value or "" for name, one in found.items()}

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all connection strings of an app, which restarts it."""
        properties = {
            name: {"type": kind, "value": value}
            for key, value in settings.items()
            for kind, _, name in [key.partition("|")]
        }
        path = f"{site_id}/config/connectionstrings"
        await self._resources.send("PUT", path, _VERSION, body={"properties": properties})

"""Fakes of the ports for settings and connection strings of App Service apps.

As in Azure, a write replaces all of them, needs no ETag, and restarts the app.
"""

from collections.abc import Mapping, Sequence

from shared.domain.keys.secret_access import SecretReader
from shared.errors import NotFound
from shared.ports import Site
from tests.fakes.site_references import read_statuses, restart
from tests.fakes.tenant import FakeSite
from tests.fakes.world import WorldFake


class FakeAppSettings(WorldFake):
    async def read_sites(self) -> list[Site]:
        return [
            Site(
                id=site.id,
                name=site.name,
                hosts=site.hosts,
                is_workflow_app=site.is_workflow_app,
            )
            for site in self._world.sites.values()
        ]

    async def read(self, site_id: str) -> dict[str, str]:
        return dict(self._get_site(site_id).settings)

    async def read_secret_readers(self, site_id: str) -> Sequence[SecretReader]:
        app_id = self._get_site(site_id).id.partition("/slots/")[0]
        return [
            SecretReader(name=site.name, principal_id=site.principal_id)
            for site in self._world.sites.values()
            if site.id == app_id or site.id.startswith(f"{app_id}/slots/")
        ]

    async def read_reference_statuses(self, site_id: str) -> Mapping[str, str]:
        site = self._get_site(site_id)
        return read_statuses(self._world, site, site.settings)

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        site = self._get_site(site_id)
        with self._world.record_write(None, "write app settings", site_id):
            site.settings = dict(settings)
            restart(site)

    def _get_site(self, site_id: str) -> FakeSite:
        try:
            return self._world.sites[site_id]
        except KeyError:
            raise NotFound(f"there is no app {site_id}") from None


class FakeConnectionStrings(FakeAppSettings):
    """Implements `AppSettings` for the connection strings of apps."""

    async def read(self, site_id: str) -> dict[str, str]:
        return dict(self._get_site(site_id).connection_strings)

    async def read_reference_statuses(self, site_id: str) -> Mapping[str, str]:
        site = self._get_site(site_id)
        return read_statuses(self._world, site, site.connection_strings)

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        site = self._get_site(site_id)
        with self._world.record_write(None, "write connection strings", site_id):
            site.connection_strings = dict(settings)
            restart(site)

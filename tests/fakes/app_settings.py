"""Fake of the port `AppSettings`: whole dictionaries, no ETag, a restart after each write."""

from collections.abc import Mapping

from shared.errors import NotFound
from shared.ports import Site
from tests.fakes.tenant import FakeSite
from tests.fakes.test_world import World


class FakeAppSettings:
    """The settings of a world's apps."""

    def __init__(self, world: World) -> None:
        """Act on `world`."""
        self._world = world

    async def read_sites(self) -> list[Site]:
        """Return every app of the watched subscriptions."""
        return [
            Site(id=site.id, name=site.name, hosts=site.hosts)
            for site in self._world.sites.values()
        ]

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""
        return dict(self._site(site_id).settings)

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app; the app restarts."""
        site = self._site(site_id)
        with self._world.writing(None, "write app settings", site_id):
            site.settings = dict(settings)
            site.restarts += 1

    def _site(self, site_id: str) -> FakeSite:
        try:
            return self._world.sites[site_id]
        except KeyError:
            raise NotFound(f"there is no app {site_id}") from None


class FakeConnectionStrings(FakeAppSettings):
    """The connection strings of a world's apps."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all connection strings of an app."""
        return dict(self._site(site_id).connection_strings)

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all connection strings of an app; the app restarts."""
        site = self._site(site_id)
        with self._world.writing(None, "write connection strings", site_id):
            site.connection_strings = dict(settings)
            site.restarts += 1

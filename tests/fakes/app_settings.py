"""Twin of the port `AppSettings`: whole dictionaries, no ETag, a restart after each write."""

from collections.abc import Mapping

from shared.errors import NotFound
from shared.ports import Site
from tests.fakes.tenant import TwinSite
from tests.fakes.test_world import World


class AppSettingsTwin:
    """The settings of a world's apps."""

    def __init__(self, world: World) -> None:
        """Act on `world`."""
        self._world = world

    async def sites(self) -> list[Site]:
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

    def _site(self, site_id: str) -> TwinSite:
        try:
            return self._world.sites[site_id]
        except KeyError:
            raise NotFound(f"there is no app {site_id}") from None

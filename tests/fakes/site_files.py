"""Fake of the port `SiteFiles`: files of Logic Apps (Standard), with ETags."""

from shared.errors import Conflict, NotFound
from shared.ports import SiteFile
from tests.fakes.world import WorldFake


class FakeSiteFiles(WorldFake):
    async def list_workflows(self, site_id: str) -> list[str]:
        if site_id not in self._world.sites:
            raise NotFound(f"there is no app {site_id}")
        paths = [path for site, path in self._world.site_files if site == site_id]
        return [path.partition("/")[0] for path in paths if path.endswith("/workflow.json")]

    async def read(self, site_id: str, path: str) -> SiteFile:
        try:
            return self._world.site_files[site_id, path]
        except KeyError:
            raise NotFound(f"there is no file {path}") from None

    async def write(self, site_id: str, path: str, text: str, *, etag: str) -> None:
        there = await self.read(site_id, path)
        if there.etag != etag:
            raise Conflict(f"the file {path} was changed")
        with self._world.record_write(None, "write file", f"{site_id}|{path}"):
            changed = SiteFile(text=text, etag=str(int(etag) + 1))
            self._world.site_files[site_id, path] = changed

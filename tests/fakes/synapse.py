"""Fake of the port `SynapseArtifacts`: raw resources below workspaces."""

import builtins
from collections.abc import Mapping

from shared.errors import Conflict, NotFound
from tests.fakes.test_world import World


class FakeSynapseArtifacts:
    """The parts of the workspaces of a world."""

    def __init__(self, world: World) -> None:
        """Act on `world`."""
        self._world = world
        self._writes = 0

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection of a workspace."""
        part = f"/microsoft.synapse/workspaces/{workspace}/{collection}/".lower()
        return [one for path, one in self._world.resources.items() if part in path]

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        """Return an item; raise `NotFound` if it is missing."""
        for one in await self.list(workspace, collection):
            if one["name"] == name:
                return one
        raise NotFound(f"there is no {name} in {collection}")

    async def write(
        self,
        workspace: str,
        collection: str,
        name: str,
        properties: Mapping[str, object],
        *,
        etag: str,
    ) -> None:
        """Replace an item with this ETag."""
        there = await self.read(workspace, collection, name)
        if etag not in ("*", there["etag"]):
            raise Conflict(f"{name} has changed")
        path = str(there["id"]).lower()
        with self._world.writing(None, "write artifact", path):
            self._writes += 1
            changed = {**there, "properties": properties, "etag": f"W/{self._writes}"}
            self._world.resources[path] = changed

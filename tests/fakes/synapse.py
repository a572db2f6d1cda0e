"""Fake of the port `SynapseArtifacts`: raw resources below workspaces."""

import builtins
from collections.abc import Mapping

from shared.errors import NotFound
from tests.fakes.test_world import World


class FakeSynapseArtifacts:
    """The parts of the workspaces of a world."""

    def __init__(self, world: World) -> None:
        """Read `world`."""
        self._world = world

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

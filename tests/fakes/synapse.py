"""Fake of the port `SynapseArtifacts`: pipelines, datasets and other parts of Synapse
workspaces.
"""

import builtins
from collections.abc import Mapping, Sequence

from shared.errors import Conflict, NotFound, PlatformError
from tests.fakes.world import World


class FakeSynapseArtifacts:
    def __init__(self, world: World) -> None:
        self._world = world
        self._writes = 0

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        part = f"/microsoft.synapse/workspaces/{workspace}/{collection}/".lower()
        return [one for path, one in self._world.resources.items() if part in path]

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        for one in await self.list(workspace, collection):
            if one["name"] == name:
                return one
        raise NotFound(f"there is no {name} in {collection}")

    async def find_denied_actions(self, workspace: str, actions: Sequence[str]) -> Sequence[str]:
        return [one for one in actions if one in self._world.denied_synapse_actions]

    async def write(
        self,
        workspace: str,
        collection: str,
        name: str,
        properties: Mapping[str, object],
        *,
        etag: str,
    ) -> None:
        there = await self.read(workspace, collection, name)
        needed = f"Microsoft.Synapse/workspaces/{collection}/write".lower()
        if needed in map(str.lower, self._world.denied_synapse_actions):
            raise PlatformError("no Synapse role", code="Unauthorized", status=403)
        if etag not in ("*", there["etag"]):
            raise Conflict(f"{name} has changed")
        path = str(there["id"]).lower()
        with self._world.record_write(None, "write artifact", path):
            self._writes += 1
            changed = {**there, "properties": properties, "etag": f"W/{self._writes}"}
            self._world.resources[path] = changed

"""Fake of the port `Environments`. Like the adapter, it caches each environment for a minute."""

import builtins
from datetime import datetime, timedelta

from shared.domain.environment import Environment
from tests.fakes.world import World

_LATELY = timedelta(minutes=1)


class FakeEnvironments:
    def __init__(self, world: World) -> None:
        self._world = world
        #: By id, with when each was last read.
        self._read: dict[str, tuple[datetime, Environment]] = {}

    async def list(self) -> builtins.list[Environment]:
        return [one.build_environment() for one in self._world.environments.values()]

    async def get(self, environment_id: str) -> Environment:
        found = self._world.get_environment(environment_id).build_environment()
        self._read[environment_id] = self._world.clock.now(), found
        return found

    async def get_cached(self, environment_id: str) -> Environment:
        asked, known = self._read.get(environment_id, (None, None))
        if asked and known and self._world.clock.now() - asked < _LATELY:
            return known
        return await self.get(environment_id)

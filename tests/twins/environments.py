"""Twin of the port `Environments`."""

import builtins

from shared.domain.environment import Environment
from tests.twins.world import World


class EnvironmentsTwin:
    """Environments as they are at this moment."""

    def __init__(self, world: World) -> None:
        """Show the environments of `world`."""
        self._world = world

    async def list(self) -> builtins.list[Environment]:
        """Return all environments of the tenant."""
        return [one.described() for one in self._world.environments.values()]

    async def get(self, environment_id: str) -> Environment:
        """Return one; raises `NotFound`."""
        return self._world.environment(environment_id).described()

    async def lately(self, environment_id: str) -> Environment:
        """Return one; raises `NotFound`."""
        return await self.get(environment_id)

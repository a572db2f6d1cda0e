"""Fake of the port `SolutionPlacement`, which adds up to twenty flows to a solution."""

from collections.abc import Sequence

from shared.errors import NotFound, PlatformError
from tests.fakes.flow_service import refuse_while_migrating, release_after_change
from tests.fakes.test_world import World

_MOST = 20


class FakeFlowPlacement:
    """Adds a world's flows to its default solution."""

    def __init__(self, world: World) -> None:
        """Use the rights of the application of `world`."""
        self._world = world

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        """Add flows to the solution; flows in it are skipped, and a missing flow fails the
        request.
        """
        world = self._world
        environment = world.get_served_environment(environment_id)
        refuse_while_migrating(world, environment)
        if len(flow_names) > _MOST:
            raise PlatformError("too many flows", code="InvalidRequestContent", status=400)
        live = {flow.flow_name: flow for flow in environment.list_live_flows()}
        for name in flow_names:
            if name not in live:
                raise NotFound(f"no flow {name}")
        with world.record_write(environment_id, "add to solution", ",".join(flow_names)):
            for flow in (live[name] for name in flow_names):
                if not flow.in_solution:
                    with release_after_change(world, environment, flow):
                        flow.in_solution = True
                    flow.touch(world.clock.now())

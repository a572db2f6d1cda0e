"""Fake of the port `SolutionPlacement`."""

from collections.abc import Sequence

from shared.errors import NotFound, PlatformError
from tests.fakes.flow_service import release_after_change, require_no_platform_migration
from tests.fakes.world import WorldFake

_MOST = 20


class FakeFlowPlacement(WorldFake):
    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        world = self._world
        environment = world.get_served_environment(environment_id)
        require_no_platform_migration(world, environment)
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

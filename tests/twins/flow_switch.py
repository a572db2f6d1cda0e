"""Twin of the port `FlowSwitch`: on and off by the flow service, for flows in no solution."""

from tests.twins.flow_service import refuse_while_migrating, turn_off, turn_on
from tests.twins.tenant import TwinFlow
from tests.twins.world import World


class FlowSwitchTwin:
    """The switch of every flow of a world."""

    def __init__(self, world: World) -> None:
        """Act on `world` as its application."""
        self._world = world

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on; raises `NotFound`."""
        flow = self._changeable(environment_id, flow_name)
        with self._world.writing(environment_id, "start flow", flow_name):
            turn_on(self._world, flow, self._world.application)
            flow.version += 1

    async def stop(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow off; raises `NotFound`."""
        flow = self._changeable(environment_id, flow_name)
        with self._world.writing(environment_id, "stop flow", flow_name):
            turn_off(self._world, flow)
            flow.version += 1

    def _changeable(self, environment_id: str, flow_name: str) -> TwinFlow:
        flow = self._world.flow(environment_id, flow_name)
        refuse_while_migrating(self._world, self._world.environment(environment_id))
        return flow

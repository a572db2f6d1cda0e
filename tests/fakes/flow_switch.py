"""Fake of the port `NonSolutionFlows`, which starts, stops, deletes and restores flows."""

from shared.domain.jobs.deletion import RECYCLE_BIN
from shared.errors import NotFound
from tests.fakes.flow_service import (
    delete,
    require_no_platform_migration,
    require_published,
    turn_off,
    turn_on,
)
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import WorldFake


class FakeFlowSwitch(WorldFake):
    async def start(self, environment_id: str, flow_name: str) -> None:
        flow = self._require_changeable(environment_id, flow_name)
        with self._world.record_write(environment_id, "start flow", flow_name):
            require_published(flow)
            turn_on(self._world, flow, self._world.application)
            flow.touch(self._world.clock.now())

    async def stop(self, environment_id: str, flow_name: str) -> None:
        flow = self._require_changeable(environment_id, flow_name)
        with self._world.record_write(environment_id, "stop flow", flow_name):
            turn_off(self._world, flow)
            flow.touch(self._world.clock.now())

    async def delete(self, environment_id: str, flow_name: str) -> None:
        try:
            flow = self._require_changeable(environment_id, flow_name)
        except NotFound:
            return
        with self._world.record_write(environment_id, "delete flow", flow_name):
            delete(self._world, flow)

    async def restore(self, environment_id: str, flow_name: str) -> None:
        now = self._world.clock.now()
        for flow in self._world.get_served_environment(environment_id).flows.values():
            deleted = flow.deleted_at
            if flow.flow_name == flow_name and deleted and now < deleted + RECYCLE_BIN:
                with self._world.record_write(environment_id, "restore flow", flow_name):
                    flow.is_deleted, flow.deleted_at = False, None
                return
        raise NotFound(f"Could not find the deleted flow '{flow_name}'.")

    def _require_changeable(self, environment_id: str, flow_name: str) -> FakeFlow:
        flow = self._world.get_flow(environment_id, flow_name)
        require_no_platform_migration(
            self._world, self._world.get_served_environment(environment_id)
        )
        return flow

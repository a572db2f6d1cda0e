"""Fake of the port `Solutions` (platform.md#solutions)."""

from collections.abc import Collection

from shared.domain.environment import Environment
from shared.domain.solution import Solution
from shared.errors import PlatformError
from tests.fakes.world import WorldFake


class FakeSolutions(WorldFake):
    async def read_solution_ids(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, frozenset[str]]:
        solutions = self._world.get_environment(environment.id).solutions.values()
        return {
            flow: frozenset(one.solution_id for one in solutions if flow in one.flows)
            for flow in workflow_ids
        }

    async def get(self, environment: Environment, solution_ids: Collection[str]) -> list[Solution]:
        solutions = self._world.get_environment(environment.id).solutions
        return [
            Solution(
                id=one.solution_id,
                unique_name=one.unique_name,
                title=one.title,
                is_managed=one.is_managed,
            )
            for one in solutions.values()
            if one.solution_id in solution_ids
        ]

    async def add_flow(
        self, environment: Environment, solution: Solution, workflow_id: str
    ) -> None:
        flow = self._world.get_workflow(environment.id, workflow_id)
        fake = self._world.get_environment(environment.id).solutions[solution.id]
        if fake.is_managed or not self._world.may_change_solutions:
            raise PlatformError("missing prvWriteSolution privilege", code="0x80040220", status=403)
        with self._world.record_write(environment.id, "add to solution", solution.unique_name):
            fake.flows.add(flow.workflow_id)

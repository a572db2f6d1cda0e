"""Fake of the port `Organization`: the settings of an environment and the names of its users."""

from collections.abc import Sequence

from shared.domain.environment import Environment
from shared.domain.ids import hash_key
from shared.domain.solution_setting import SolutionSetting
from shared.errors import NotFound
from tests.fakes.tenant import FakeTeam, FakeUser
from tests.fakes.world import WorldFake


class FakeOrganization(WorldFake):
    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        there = self._world.get_environment(environment.id)
        return SolutionSetting(
            organization_id=hash_key(there.id), is_on=there.creates_flows_in_solutions
        )

    async def write_solution_setting(
        self, environment: Environment, organization_id: str, *, is_on: bool | None
    ) -> None:
        there = self._world.get_environment(environment.id)
        if organization_id != hash_key(there.id):
            raise NotFound(f"organization {organization_id} does not exist")
        if self._world.assumptions.organization_changes_that_do_not_stick > 0:
            self._world.assumptions.organization_changes_that_do_not_stick -= 1
            return
        there.creates_flows_in_solutions = is_on

    async def read_names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        everybody: dict[str, FakeUser | FakeTeam] = {**self._world.users, **self._world.teams}
        wanted = {one.lower() for one in ids}
        return {one: everybody[one].name for one in wanted if one in everybody}

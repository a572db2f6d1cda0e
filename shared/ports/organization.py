"""The port for an environment's Dataverse organization."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.environment import Environment
from shared.domain.solution_setting import SolutionSetting


class Organization(Protocol):
    """Read and write an organization's setting for new flows, and read names of users and teams."""

    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        """Return the setting that creates new flows in a solution."""

    async def write_solution_setting(
        self, environment: Environment, organization_id: str, *, is_on: bool | None
    ) -> None:
        """Change the setting; raise `NotFound`. An accepted change may not be kept."""

    async def names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of users and teams by lower-case id; skip unknown ids."""

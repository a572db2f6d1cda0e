"""The port for an environment's Dataverse organization."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.environment import Environment
from shared.domain.solution_setting import SolutionSetting


class Organization(Protocol):
    """Read and write an organization's setting for new flows, and read names of users and teams."""

    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        """Return the environment's setting that creates new flows in a solution."""

    async def write_solution_setting(
        self, environment: Environment, organization_id: str, *, is_on: bool | None
    ) -> None:
        """Change the environment's setting that creates new flows in a solution.

        The platform may accept the change and not keep it. Raises `NotFound` if there is no
        organization with this id.
        """

    async def read_names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of users and teams by id in lower case. Unknown ids are omitted."""

"""The ports for ownership: sharing, users and groups, and solutions in Dataverse."""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.domain.environment import Environment
from shared.domain.sharing import DataversePrincipal, DataverseUser, Share
from shared.domain.solution import Solution
from shared.errors import CmkflowError


class FlowSharing(Protocol):
    """Read and change with whom flows are shared (platform.md#dataverse-sharing)."""

    async def list(self, environment: Environment, workflow_id: str) -> list[Share]:
        """Return all shares of a flow. Raises `NotFound` if the flow does not exist."""

    async def list_shares_by_flow(
        self, environment: Environment, workflow_ids: Sequence[str]
    ) -> dict[str, Sequence[Share] | CmkflowError]:
        """Return all shares, or an error, by flow id. One request reads many flows."""

    async def grant(self, environment: Environment, workflow_id: str, share: Share) -> None:
        """Grant rights to a principal that has none yet. Safe to retry."""

    async def modify(self, environment: Environment, workflow_id: str, share: Share) -> None:
        """Replace a principal's rights. Safe to retry."""

    async def revoke(
        self, environment: Environment, workflow_id: str, principal: DataversePrincipal
    ) -> None:
        """Revoke all rights of a principal; do nothing if it has none."""


class PrincipalDirectory(Protocol):
    """Find users, applications and groups as rows of an environment's Dataverse."""

    async def read_users(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataverseUser]:
        """Return users by their Entra object id in lower case. Ids without a row are omitted."""

    async def read_teams(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataversePrincipal]:
        """Return the teams of Entra groups by the group's object id in lower case."""

    async def read_user(self, environment: Environment, user_id: str) -> DataverseUser | None:
        """Return the user with this `systemuserid`, or None, for example if the id is a team's."""

    async def read_application_user(self, environment: Environment) -> DataversePrincipal:
        """Return the Dataverse user that represents the app."""

    async def read_privilege_levels(
        self, environment: Environment, user_id: str, name: str
    ) -> frozenset[str]:
        """Return the access levels that the roles of a user or of the user's teams grant.

        `name` is the name of the privilege. The levels are `Basic`, `Local`, `Deep` and `Global`.
        """


class Solutions(Protocol):
    """Read solutions and add flows to them (platform.md#solutions)."""

    async def read_solution_ids(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, frozenset[str]]:
        """Return the ids of all solutions that contain each flow, by workflow id."""

    async def get(self, environment: Environment, solution_ids: Collection[str]) -> list[Solution]:
        """Return the solutions with these ids. Ids that do not exist are omitted."""

    async def add_flow(
        self, environment: Environment, solution: Solution, workflow_id: str
    ) -> None:
        """Add a flow to an unmanaged solution; do nothing if the solution contains it."""

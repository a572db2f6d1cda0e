"""Who flows belong to: sharing, the rows of people and groups, and solutions, in Dataverse."""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.domain.environment import Environment
from shared.domain.sharing import DataversePrincipal, DataverseUser, Share
from shared.domain.solution import Solution
from shared.errors import CmkflowError


class FlowSharing(Protocol):
    """Whom flows are shared with beside their owners (platform.md#dataverse-sharing)."""

    async def list(self, environment: Environment, workflow_id: str) -> list[Share]:
        """Return every share of a flow; raises `NotFound`."""

    async def list_each(
        self, environment: Environment, workflow_ids: Sequence[str]
    ) -> dict[str, Sequence[Share] | CmkflowError]:
        """Return every share of each flow, by its id, or why it is not told; many in a call."""

    async def grant(self, environment: Environment, workflow_id: str, share: Share) -> None:
        """Give a principal rights that it has none of yet; may be repeated."""

    async def modify(self, environment: Environment, workflow_id: str, share: Share) -> None:
        """Give a principal these rights in place of those it has; may be repeated."""

    async def revoke(
        self, environment: Environment, workflow_id: str, principal: DataversePrincipal
    ) -> None:
        """Take all rights of a share away; does nothing if there is none."""


class PrincipalDirectory(Protocol):
    """People, applications and groups as rows of an environment's Dataverse."""

    async def users(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataverseUser]:
        """Return users by Entra object id, in lower case; who has no row is left out."""

    async def teams(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataversePrincipal]:
        """Return the teams of Entra groups by object id, in lower case."""

    async def user(self, environment: Environment, user_id: str) -> DataverseUser | None:
        """Return a user by `systemuserid`; None: there is none, as for a team's id."""

    async def application(self, environment: Environment) -> DataversePrincipal:
        """Return the application user that the app acts as."""

    async def privilege(self, environment: Environment, user_id: str, name: str) -> frozenset[str]:
        """Return how far a user's privilege reaches, by roles of its own and of its teams.

        Of `Basic`, `Local`, `Deep` and `Global`; empty: it has it not.
        """


class Solutions(Protocol):
    """Solutions, and the flows in them (platform.md#solutions)."""

    async def containing(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, frozenset[str]]:
        """Return the ids of all solutions that hold each flow, by workflow id."""

    async def get(self, environment: Environment, solution_ids: Collection[str]) -> list[Solution]:
        """Return these solutions; those that are gone are left out."""

    async def add_flow(
        self, environment: Environment, solution: Solution, workflow_id: str
    ) -> None:
        """Put a flow into an unmanaged solution; does nothing if it is in it."""

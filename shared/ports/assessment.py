"""What only an assessment asks of the platform; all of it is read."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.assessment.snapshots import CanvasApp, Connection
from shared.domain.environment import Environment


class Connections(Protocol):
    """Connections of an environment, as an administrator sees them.

    See platform.md#connection-list.
    """

    async def list(self, environment_id: str) -> list[Connection]:
        """Return all of them; an empty list may mean that they are not shown to an application."""

    async def errors(self, environment_id: str) -> dict[str, str]:
        """Return by name, in lower case, what is wrong with each connection; empty: nothing is."""


class CanvasApps(Protocol):
    """Canvas apps of an environment, as an administrator sees them (platform.md#canvas-apps)."""

    async def list_with_flows(self, environment_id: str) -> list[CanvasApp]:
        """Return the apps that use any flow, with the flows' ids."""

    async def get(self, environment_id: str, name: str) -> CanvasApp:
        """Return one app; raises `NotFound`, and `InvalidInput` if its ids may not be all."""


class MachineGroups(Protocol):
    """Machine groups for desktop flows (platform.md#machine-groups)."""

    async def hosted(self, environment: Environment) -> list[str]:
        """Return the titles of hosted groups."""


class Organization(Protocol):
    """The Dataverse organization of an environment: its settings and its people."""

    async def creates_flows_in_solutions(self, environment: Environment) -> bool:
        """Say whether new flows are made in a solution (platform.md#solution-by-default)."""

    async def names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        """Return names of users and teams by their ids, in lower case; others are left out."""

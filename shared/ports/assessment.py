"""The read-only ports for connections, canvas apps and hosted machine groups."""

from typing import Protocol

from shared.domain.definitions.connector_sign_in import ConnectorSignIn
from shared.domain.environment import Environment
from shared.domain.power_apps import CanvasApp, Connection
from shared.ports.power_platform import ResultPage


class Connections(Protocol):
    """Read an environment's connections in the admin scope.

    See platform.md#connection-list.
    """

    async def list(self, environment_id: str) -> list[Connection]:
        """Return all connections.

        The list may be empty if the application has no access to them.
        """

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[Connection]:
        """Return a page of the list of connections.

        Sends one request, and does not read connectors. An invalid cursor raises the errors of
        `FlowPages`.
        """

    async def read_sign_in(self, environment_id: str, connector: str) -> ConnectorSignIn:
        """Return how connections of a connector sign in.

        The result is unknown if the app may not read the connector.
        """

    async def read_errors(self, environment_id: str) -> dict[str, str]:
        """Return the error of each connection, or "" if it has none, by the connection's name in
        lower case.
        """


class CanvasApps(Protocol):
    """Read an environment's canvas apps in the admin scope (platform.md#canvas-apps)."""

    async def list_with_flows(self, environment_id: str) -> list[CanvasApp]:
        """Return the apps that use flows, with the flows' ids."""

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[CanvasApp]:
        """Return the apps that use flows on one page of the list.

        Sends one request for the page, and one for the document of each of these apps. An invalid
        cursor raises the errors of `FlowPages`.
        """

    async def get(self, environment_id: str, name: str) -> CanvasApp:
        """Return an app.

        Raises `NotFound` if it does not exist, and `InvalidInput` if its flow ids may be
        incomplete.
        """


class MachineGroups(Protocol):
    """Read machine groups for desktop flows (platform.md#machine-groups)."""

    async def read_hosted_groups(self, environment: Environment) -> list[str]:
        """Return the names of hosted groups, and of groups of unknown type."""

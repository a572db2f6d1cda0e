"""Define the connections and canvas apps of an environment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.domain.definitions.connector_sign_in import ConnectorSignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection of an environment (platform.md#connection-list)."""

    name: str
    #: For example `shared_office365`.
    connector: str
    display_name: str
    #: Its creator, as the platform shows the name; empty: not shown.
    owner: str
    #: The way to sign in that its creator chose, as the connector names it; empty: not shown.
    sign_in: str = ""
    #: Whether it signs in by OAuth, which the key covers; None: the connector does not show it, or
    #: was not read.
    uses_oauth: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasApp:
    """A canvas app that uses flows (platform.md#canvas-apps)."""

    name: str
    display_name: str
    owner: str
    #: Lower-case ids from the part of the app that names its flows; other ids may be among them.
    flow_ids: frozenset[str]
    #: Why the ids may be incomplete; empty: they are complete.
    unknown_reason: str = ""


def add_sign_in(
    connections: Iterable[Connection], connectors: Mapping[str, ConnectorSignIn]
) -> list[Connection]:
    """Add to each connection whether it signs in with OAuth.

    `connectors` contains the ways to sign in, by the connector's name.
    """
    unknown = ConnectorSignIn()
    return [
        replace(one, uses_oauth=connectors.get(one.connector, unknown).uses_oauth(one.sign_in))
        for one in connections
    ]

"""Find out whether a connector's connections sign in with OAuth.

The key covers only connections that do (platform.md#non-oauth-connections).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.definitions.json_values import as_mapping, mapping_at

_OAUTH = "oauthsetting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSignIn:
    """The ways in which connections of a connector can sign in."""

    #: By its name, whether a way to sign in is by OAuth; empty: the connector has only one.
    ways: Mapping[str, bool] = field(default_factory=dict)
    #: Whether the only way is by OAuth; None: the connector does not show it.
    only_way: bool | None = None

    def uses_oauth(self, way: str = "") -> bool | None:
        """Return whether a connection signs in by OAuth, or None if it is unknown.

        `way` is the name of the way that the connection has chosen. If it is unknown, all ways of
        the connector must agree.
        """
        if way in self.ways:
            return self.ways[way]
        if self.ways:
            answers = set(self.ways.values())
            return answers.pop() if len(answers) == 1 else None
        return self.only_way


def parse_sign_in(connector: Mapping[str, object]) -> ConnectorSignIn:
    """Return how connections sign in, from a connector's `properties`."""
    raw = mapping_at(connector, "connectionParameterSets").get("values")
    ways: dict[str, bool] = {}
    for value in raw if isinstance(raw, list) else ():
        way = as_mapping(value)
        ways[str(way.get("name", ""))] = _has_oauth_parameter(mapping_at(way, "parameters"))
    if ways or "connectionParameters" not in connector:
        return ConnectorSignIn(ways=ways)
    return ConnectorSignIn(
        only_way=_has_oauth_parameter(mapping_at(connector, "connectionParameters"))
    )


def _has_oauth_parameter(parameters: Mapping[str, object]) -> bool:
    return any(
        str(as_mapping(parameter).get("type", "")).lower() == _OAUTH
        for parameter in parameters.values()
    )

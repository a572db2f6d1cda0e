"""Find out whether a connector's connections sign in by OAuth; the key does not cover others.

See platform.md#non-oauth-connections.
"""

from collections.abc import Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at

_OAUTH = "oauthsetting"


def signs_in_by_oauth(connector: Mapping[str, object], parameter_set: str = "") -> bool | None:
    """Return whether connections sign in by OAuth, from a connector's `properties`; None if
    unknown.

    `parameter_set` is the connection's way to sign in, where the connector offers several. If it is
    unknown and the ways differ, the answer is None.
    """
    raw = mapping_at(connector, "connectionParameterSets").get("values")
    ways: dict[str, bool] = {}
    for value in raw if isinstance(raw, list) else ():
        way = as_mapping(value)
        ways[str(way.get("name", ""))] = _has_oauth_parameter(mapping_at(way, "parameters"))
    if parameter_set in ways:
        return ways[parameter_set]
    if ways:
        answers = set(ways.values())
        return answers.pop() if len(answers) == 1 else None
    if "connectionParameters" not in connector:
        return None
    return _has_oauth_parameter(mapping_at(connector, "connectionParameters"))


def _has_oauth_parameter(parameters: Mapping[str, object]) -> bool:
    return any(
        str(as_mapping(parameter).get("type", "")).lower() == _OAUTH
        for parameter in parameters.values()
    )

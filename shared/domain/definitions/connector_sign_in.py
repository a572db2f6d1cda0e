"""Whether connections of a connector sign in by OAuth: the others stay on Microsoft's key.

See platform.md#non-oauth-connections.
"""

from collections.abc import Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at

_OAUTH = "oauthsetting"


def signs_in_by_oauth(connector: Mapping[str, object], parameter_set: str = "") -> bool | None:
    """Judge a connector's `properties`; None: they do not tell.

    `parameter_set` is the way of signing in that a connection chose, where the connector offers
    several; where it is not known and they differ, nobody can tell.
    """
    raw = mapping_at(connector, "connectionParameterSets").get("values")
    ways: dict[str, bool] = {}
    for value in raw if isinstance(raw, list) else ():
        way = as_mapping(value)
        ways[str(way.get("name", ""))] = _has_token(mapping_at(way, "parameters"))
    if parameter_set in ways:
        return ways[parameter_set]
    if ways:
        answers = set(ways.values())
        return answers.pop() if len(answers) == 1 else None
    if "connectionParameters" not in connector:
        return None
    return _has_token(mapping_at(connector, "connectionParameters"))


def _has_token(parameters: Mapping[str, object]) -> bool:
    return any(
        str(as_mapping(parameter).get("type", "")).lower() == _OAUTH
        for parameter in parameters.values()
    )

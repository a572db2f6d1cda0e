"""Define what all conversions to V2 have in common.

A definition is converted completely or not at all. Each part that cannot be converted safely is
reported as an obstacle.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import mapping_at, text_at


class ConversionKind(StrEnum):
    """Which part of a definition a conversion replaces so that the flow moves to your key."""

    #: Power Apps (V1) becomes Power Apps (V2).
    POWER_APPS_TRIGGER = "power_apps_trigger"
    #: *List flows as Admin (V1)* becomes *List flows as Admin (V2)*.
    LIST_FLOWS_ACTION = "list_flows_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionResult:
    """The result of a conversion: a converted definition, or why it was not converted."""

    #: JSON text; the original text if there are obstacles.
    client_data: str = field(repr=False)
    #: One sentence each, without values of the definition that could be secret.
    obstacles: tuple[str, ...] = ()


def has_same_actions(a: str, b: str) -> bool:
    """Return whether two definitions have the same triggers and actions, apart from connections.

    Also ignores `metadata`. When a flow is added to a solution, the platform may rename its
    connections and changes nothing else (platform.md#move-into-solution).
    """
    return _parse_triggers_and_actions(a) == _parse_triggers_and_actions(b)


def _parse_triggers_and_actions(client_data: str) -> object:
    document = json.loads(
        client_data.removeprefix("\ufeff"), object_hook=_remove_connections_and_metadata
    )
    definition = mapping_at(document, *(find_definition_place(document) or ()))
    return [definition.get(name) for name in ("triggers", "actions")]


def _remove_connections_and_metadata(value: dict[str, object]) -> dict[str, object]:
    """Change an object that the JSON decoder has read, and return it."""
    if host := mapping_at(value, "host"):
        value["host"] = text_at(host, "operationId")
        value.pop("authentication", None)
    value.pop("metadata", None)
    return value

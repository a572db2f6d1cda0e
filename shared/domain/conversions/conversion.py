"""What the conversions to a second version have in common.

A conversion is made whole or not at all: what cannot be converted surely is said in words.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.definitions.flow_definition import definition_place
from shared.domain.definitions.json_values import mapping_at, text_at


class ConversionKind(StrEnum):
    """What is converted."""

    #: Power Apps (V1) becomes Power Apps (V2)
    POWER_APPS_TRIGGER = "power_apps_trigger"
    #: *List flows as Admin (V1)* becomes *List flows as Admin (V2)*
    LIST_FLOWS_ACTION = "list_flows_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionResult:
    """A definition with the second version in it, or what stands in the way."""

    #: JSON text; the one that was given where there is an obstacle
    client_data: str = field(repr=False)
    #: one sentence each, without values of the definition that could be secret
    obstacles: tuple[str, ...] = ()


def has_same_actions(a: str, b: str) -> bool:
    """Return whether two flows have the same triggers and actions, however they name connections.

    Moving a flow into a solution may name its connections otherwise
    (platform.md#move-into-solution), and nothing else.
    """
    return _steps(a) == _steps(b)


def _steps(client_data: str) -> object:
    document = json.loads(client_data.removeprefix("\ufeff"), object_hook=_without_connections)
    definition = mapping_at(document, *(definition_place(document) or ()))
    return [definition.get(name) for name in ("triggers", "actions")]


def _without_connections(value: dict[str, object]) -> dict[str, object]:
    """Take out of an object how it names connections; the decoder calls it from the inside out."""
    if host := mapping_at(value, "host"):
        value["host"] = text_at(host, "operationId")
        value.pop("authentication", None)
    value.pop("metadata", None)
    return value

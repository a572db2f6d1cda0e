"""What the conversions to a second version have in common.

A conversion is made whole or not at all: what cannot be converted surely is said in words.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.definitions.flow_definition import definition_place
from shared.domain.definitions.json_values import mapping_at, text_at


class Edit(StrEnum):
    """What is converted."""

    #: Power Apps (V1) becomes Power Apps (V2)
    POWER_APPS_TRIGGER = "power_apps_trigger"
    #: *List flows as Admin (V1)* becomes *List flows as Admin (V2)*
    LIST_FLOWS_ACTION = "list_flows_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A definition with the second version in it, or what stands in the way."""

    #: JSON text; the one that was given where there is an obstacle
    client_data: str = field(repr=False)
    #: one sentence each, without values of the definition that could be secret
    obstacles: tuple[str, ...] = ()


def same_steps(a: str, b: str) -> bool:
    """Return whether two flows have the same triggers and actions, however they name connections.

    Moving a flow into a solution may name its connections otherwise (§5.6), and nothing else.
    """
    return _steps(a) == _steps(b)


def _steps(client_data: str) -> object:
    document = json.loads(client_data.removeprefix("\ufeff"))
    definition = mapping_at(document, *(definition_place(document) or ()))
    return _without_connections({name: definition.get(name) for name in ("triggers", "actions")})


def _without_connections(value: object) -> object:
    if isinstance(value, list):
        return [_without_connections(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_connections(item) for name, item in value.items()}
    if host := mapping_at(kept, "host"):
        kept["host"] = text_at(host, "operationId")
        kept.pop("authentication", None)
    return {name: item for name, item in kept.items() if name != "metadata"}

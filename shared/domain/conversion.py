"""What the conversions to a second version have in common.

A conversion is made whole or not at all: what cannot be converted surely is said in words.
"""

from dataclasses import dataclass, field
from enum import StrEnum


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

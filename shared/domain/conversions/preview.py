"""What of a flow can be done in its own definition before a copy is needed, for a plan to show.

The document's first choice for two categories is an edit: the Power Apps trigger and the action
*List flows as Admin* have a second version that does not hold a flow back.
"""

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass

from shared.domain.conversions.conversion import ConversionKind, ConversionResult
from shared.domain.conversions.list_flows_action import convert_list_flows
from shared.domain.conversions.power_apps_trigger import convert_power_apps_trigger
from shared.domain.definitions.flow_definition import FlowDefinition, parse_client_data
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.trigger_urls.signatures import mask_signatures

#: A plan shows this much of a difference; a row holds it together with everything else.
LONGEST_DIFFERENCE = 16_000

_CONVERTERS = {
    ConversionKind.POWER_APPS_TRIGGER: convert_power_apps_trigger,
    ConversionKind.LIST_FLOWS_ACTION: convert_list_flows,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionPreview:
    """What a plan shows of a conversion."""

    #: unified difference of the two definitions, signatures masked; empty: see `obstacles`
    difference: str = ""
    obstacles: tuple[str, ...] = ()


def possible_edits(
    definition: FlowDefinition | DefinitionSummary, *, in_solution: bool
) -> tuple[ConversionKind, ...]:
    """Return what of a flow keeps it on Microsoft's key and has a second version.

    See platform.md#flows-that-stay.
    """
    edits = []
    if definition.category is TriggerCategory.POWER_APPS_V1 and not in_solution:
        edits.append(ConversionKind.POWER_APPS_TRIGGER)
    if definition.uses_list_flows_as_admin_v1:
        edits.append(ConversionKind.LIST_FLOWS_ACTION)
    return tuple(edits)


def convert(client_data: str, edits: Collection[ConversionKind]) -> ConversionResult:
    """Return the definition with these edits made; converting it again changes nothing."""
    text, obstacles = client_data, list[str]()
    for edit, converter in _CONVERTERS.items():
        if edit in edits:
            one = converter(text)
            text, obstacles = one.client_data, [*obstacles, *one.obstacles]
    if obstacles:
        masked = tuple(mask_signatures(obstacle) for obstacle in obstacles)
        return ConversionResult(client_data=client_data, obstacles=masked)
    return ConversionResult(client_data=text)


def preview_conversion(client_data: str, edits: Collection[ConversionKind]) -> ConversionPreview:
    """Return what a plan shows of these edits of a flow."""
    try:
        conversion = convert(client_data, edits)
        if conversion.obstacles:
            return ConversionPreview(obstacles=conversion.obstacles)
        return ConversionPreview(difference=unified_diff(client_data, conversion.client_data))
    except RecursionError:
        return ConversionPreview(
            obstacles=("Its actions nest too deep for the app to change any.",)
        )


def unified_diff(old: str, new: str) -> str:
    """Return two definitions' unified difference, signatures masked, cut where it is too long."""
    lines = list(
        difflib.unified_diff(_lines(old), _lines(new), "as it is", "as proposed", lineterm="")
    )
    text = mask_signatures("\n".join(lines))
    if len(text) <= LONGEST_DIFFERENCE:
        return text
    shown = text[:LONGEST_DIFFERENCE].rpartition("\n")[0]
    left = len(lines) - shown.count("\n") - 1
    return f"{shown}\n… {left} more lines are left out: they are too many for a plan."


def _lines(client_data: str) -> list[str]:
    definition = parse_client_data(client_data).definition
    return json.dumps(definition, indent=2, ensure_ascii=False).splitlines()

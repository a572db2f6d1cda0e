"""Convert a flow's own definition so that it needs no copy, and preview the change for a plan.

The Power Apps trigger and the action *List flows as Admin* have a V2 that does not keep a flow on
Microsoft's key.
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

#: A plan shows at most this many characters of a diff, which is stored in one row with everything
#: else.
LONGEST_DIFFERENCE = 16_000

_CONVERTERS = {
    ConversionKind.POWER_APPS_TRIGGER: convert_power_apps_trigger,
    ConversionKind.LIST_FLOWS_ACTION: convert_list_flows,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionPreview:
    """What a plan shows of a conversion: the changes, or why it is not possible."""

    #: Unified diff of the two definitions with masked signatures; empty if there are `obstacles`.
    diff: str = ""
    obstacles: tuple[str, ...] = ()


def list_possible_conversions(
    definition: FlowDefinition | DefinitionSummary, *, in_solution: bool
) -> tuple[ConversionKind, ...]:
    """Return the conversions that remove a reason why the flow stays on Microsoft's key.

    See platform.md#flows-that-stay.
    """
    edits = []
    if definition.category is TriggerCategory.POWER_APPS_V1 and not in_solution:
        edits.append(ConversionKind.POWER_APPS_TRIGGER)
    if definition.uses_list_flows_as_admin_v1:
        edits.append(ConversionKind.LIST_FLOWS_ACTION)
    return tuple(edits)


def convert_definition(client_data: str, edits: Collection[ConversionKind]) -> ConversionResult:
    """Return the definition with these conversions, or unchanged with the obstacles."""
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
    """Return what these conversions would change, as a diff, or why they are not possible."""
    try:
        conversion = convert_definition(client_data, edits)
        if conversion.obstacles:
            return ConversionPreview(obstacles=conversion.obstacles)
        return ConversionPreview(diff=build_unified_diff(client_data, conversion.client_data))
    except RecursionError:
        return ConversionPreview(
            obstacles=("Its actions are nested too deeply for the app to change them.",)
        )


def build_unified_diff(old: str, new: str) -> str:
    """Return the unified diff of two definitions, with masked signatures.

    A long diff is cut off.
    """
    lines = list(
        difflib.unified_diff(
            _format_definition_lines(old),
            _format_definition_lines(new),
            "as it is",
            "as proposed",
            lineterm="",
        )
    )
    text = mask_signatures("\n".join(lines))
    if len(text) <= LONGEST_DIFFERENCE:
        return text
    shown = text[:LONGEST_DIFFERENCE].rpartition("\n")[0]
    left = len(lines) - shown.count("\n") - 1
    return f"{shown}\n… {left} more lines are not shown."


def _format_definition_lines(client_data: str) -> list[str]:
    definition = parse_client_data(client_data).definition
    return json.dumps(definition, indent=2, ensure_ascii=False).splitlines()

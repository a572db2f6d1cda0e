"""Why a flow stays on the Microsoft-managed key: the reason that the platform's list leaves out.

`nonCmkMigratedFlows` names flows and gives no reason (§5.1), so the documented rule is applied to
definitions. Where the rule needs to know what a definition does not say, the answer is *unknown*.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.definitions.flow_definition import DefinitionFormat, FlowDefinition
from shared.domain.definitions.flow_summary import FlowSummary
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.plans.dependency_graph import DependencyGraph


class MmkReason(StrEnum):
    """What keeps a flow on the MMK (customer-managed-keys.md, platform-contract.md §5.1)."""

    HTTP_TRIGGER = "http_trigger"
    TEAMS_TRIGGER = "teams_trigger"
    POWER_APPS_V1_OUTSIDE_SOLUTION = "power_apps_v1_outside_solution"
    LIST_FLOWS_AS_ADMIN_V1 = "list_flows_as_admin_v1"
    PARENT_OF_MMK_FLOW = "parent_of_mmk_flow"
    #: the platform lists the flow and the definition does not say why
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Whether a flow stays on the MMK, and why."""

    #: None: the definition alone cannot tell
    stays_on_mmk: bool | None
    #: reasons that hold; where the answer is unknown, those that may hold
    reasons: tuple[MmkReason, ...]
    #: one sentence for a person
    text: str


_TEXTS = {
    MmkReason.HTTP_TRIGGER: "It starts from an HTTP request, and its URL changes with the key.",
    MmkReason.TEAMS_TRIGGER: "A Teams trigger starts it.",
    MmkReason.POWER_APPS_V1_OUTSIDE_SOLUTION: (
        "It starts from the Power Apps V1 trigger and is in no solution."
    ),
    MmkReason.LIST_FLOWS_AS_ADMIN_V1: (
        "It uses the action List flows as Admin (V1): change it to V2 or delete it."
    ),
    MmkReason.PARENT_OF_MMK_FLOW: "It runs a child flow that stays on the Microsoft-managed key.",
    MmkReason.UNEXPLAINED: (
        "The platform lists it as not migrated; nothing in its definition says why."
    ),
}
_IN_DOUBT = {
    MmkReason.TEAMS_TRIGGER: (
        "A Teams event starts it; Microsoft's documents do not say whether this trigger counts."
    ),
    MmkReason.POWER_APPS_V1_OUTSIDE_SOLUTION: (
        "It starts from the Power Apps V1 trigger: it stays unless it is in a solution."
    ),
    MmkReason.PARENT_OF_MMK_FLOW: "It runs a child flow of which this is not known.",
}
_STAYS = {
    TriggerCategory.HTTP: MmkReason.HTTP_TRIGGER,
    TriggerCategory.TEAMS_WEBHOOK: MmkReason.TEAMS_TRIGGER,
    TriggerCategory.TEAMS_MESSAGE_ACTION: MmkReason.TEAMS_TRIGGER,
}


def explain(
    definition: FlowDefinition | FlowSummary,
    *,
    in_solution: bool | None,
    held_back_children: Collection[str] = (),
    unknown_children: Collection[str] = (),
) -> Assessment:
    """Apply the documented rule to one flow.

    `in_solution` is None where nobody knows. `held_back_children` and `unknown_children` are
    workflow ids; only those the definition calls count.
    """
    if definition.format is DefinitionFormat.LOGIC_APP:
        return Assessment(
            stays_on_mmk=False,
            reasons=(),
            text="A Logic App: no key of Power Platform protects it.",
        )
    certain, in_doubt = _by_trigger(definition, in_solution)
    if definition.uses_list_flows_as_admin_v1:
        certain.append(MmkReason.LIST_FLOWS_AS_ADMIN_V1)
    if any(child in held_back_children for child in definition.children):
        certain.append(MmkReason.PARENT_OF_MMK_FLOW)
    elif any(child in unknown_children for child in definition.children):
        in_doubt.append(MmkReason.PARENT_OF_MMK_FLOW)
    if certain:
        return _assessment(True, certain, _TEXTS)
    if in_doubt:
        return _assessment(None, in_doubt, _IN_DOUBT)
    return Assessment(stays_on_mmk=False, reasons=(), text="It moves to the new key by itself.")


def explain_listed(definition: FlowDefinition | FlowSummary, assessment: Assessment) -> Assessment:
    """Return the assessment of a flow that the platform itself lists as not migrated.

    The list is the truth (§5.1): what was in doubt is settled, and a flow that the rule would let
    go is unexplained.
    """
    if assessment.stays_on_mmk:
        return assessment
    reasons = list(assessment.reasons) or [MmkReason.UNEXPLAINED]
    if not assessment.reasons and definition.category.is_teams:
        reasons = [MmkReason.TEAMS_TRIGGER]
    return _assessment(True, reasons, _TEXTS)


def explain_all(
    definitions: Mapping[str, FlowDefinition | FlowSummary],
    *,
    in_solution: Mapping[str, bool | None],
    listed: Collection[str] = (),
) -> dict[str, Assessment]:
    """Apply the rule to flows that may run one another, by lower-case workflow id.

    A child that is none of `definitions` is unknown, and so is its parent unless another reason
    holds. `listed` are the ids of `nonCmkMigratedFlows`.
    """
    graph = DependencyGraph({flow: d.children for flow, d in definitions.items()})
    listed = frozenset(listed)
    found: dict[str, Assessment] = {}

    def assess(flow: str, held_back: Collection[str], unknown: Collection[str]) -> Assessment:
        one = explain(
            definitions[flow],
            in_solution=in_solution.get(flow),
            held_back_children=held_back,
            unknown_children=unknown,
        )
        return explain_listed(definitions[flow], one) if flow in listed else one

    for flow in definitions:
        found[flow] = assess(flow, listed - definitions.keys(), ())
    held_back = {flow for flow, one in found.items() if one.stays_on_mmk} | listed
    held_back |= graph.ancestors_of(*held_back)
    unknown = {flow for flow, one in found.items() if one.stays_on_mmk is None}
    unknown |= frozenset().union(*graph.missing.values()) - listed
    unknown |= graph.ancestors_of(*unknown) | graph.ancestors_of(*graph.missing)
    unknown |= graph.missing.keys()
    return {flow: assess(flow, held_back, unknown - held_back) for flow in definitions}


def _by_trigger(
    definition: FlowDefinition | FlowSummary, in_solution: bool | None
) -> tuple[list[MmkReason], list[MmkReason]]:
    certain: list[MmkReason] = []
    in_doubt: list[MmkReason] = []
    for category in dict.fromkeys(definition.trigger_categories):
        if category in _STAYS:
            certain.append(_STAYS[category])
        elif category is TriggerCategory.TEAMS_EVENT:
            # The document says "Teams trigger flows" and itemises nothing (§7).
            in_doubt.append(MmkReason.TEAMS_TRIGGER)
        elif category is TriggerCategory.POWER_APPS_V1 and in_solution is not True:
            doubt = in_doubt if in_solution is None else certain
            doubt.append(MmkReason.POWER_APPS_V1_OUTSIDE_SOLUTION)
    return certain, in_doubt


def _assessment(
    stays: bool | None, reasons: list[MmkReason], texts: Mapping[MmkReason, str]
) -> Assessment:
    return Assessment(
        stays_on_mmk=stays,
        reasons=tuple(reasons),
        text=" ".join(texts[reason] for reason in reasons),
    )

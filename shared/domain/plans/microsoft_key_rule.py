"""Evaluate why a flow stays on Microsoft's key.

`nonCmkMigratedFlows` lists flows without a reason (platform.md#microsoft-key-list), so Microsoft's
documented rules are applied to their definitions. Where a definition does not show enough, the
result is unknown.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.definitions.flow_definition import DefinitionFormat, FlowDefinition
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.microsoft_key_reason import EvaluatedFlow, MicrosoftKeyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftKeyEvaluation:
    """Whether a flow stays on Microsoft's key, and why."""

    #: None: unknown from the definition alone.
    stays_on_microsoft_key: bool | None
    #: The reasons that apply; if the result is unknown, those that may apply.
    microsoft_key_reasons: tuple[MicrosoftKeyReason, ...]
    #: One sentence for people.
    message: str


def evaluate_flow(
    definition: FlowDefinition | DefinitionSummary,
    *,
    in_solution: bool | None,
    held_back_children: Collection[str] = (),
    unknown_children: Collection[str] = (),
) -> MicrosoftKeyEvaluation:
    """Return whether a flow stays on Microsoft's key by the documented rules, and why.

    `in_solution` is None if unknown. `held_back_children` and `unknown_children` are workflow ids
    of flows that stay and that may stay. Those that the definition does not call are ignored.
    """
    if definition.format is DefinitionFormat.LOGIC_APP:
        return MicrosoftKeyEvaluation(
            stays_on_microsoft_key=False,
            microsoft_key_reasons=(),
            message="It is a Logic App, which no Power Platform key protects.",
        )
    flow = EvaluatedFlow(
        definition=definition,
        in_solution=in_solution,
        held_back=held_back_children,
        unknown=unknown_children,
    )
    answers = {reason: reason.category.holds(flow) for reason in MicrosoftKeyReason}
    if certain := [reason for reason, answer in answers.items() if answer]:
        return _build_evaluation_that_stays(certain)
    if in_doubt := [reason for reason, answer in answers.items() if answer is None]:
        return _build_evaluation_that_may_stay(in_doubt)
    return MicrosoftKeyEvaluation(
        stays_on_microsoft_key=False,
        microsoft_key_reasons=(),
        message="The platform moves it to the customer-managed key.",
    )


def explain_listed_flow(
    definition: FlowDefinition | DefinitionSummary, assessment: MicrosoftKeyEvaluation
) -> MicrosoftKeyEvaluation:
    """Return why a flow stays that the platform lists as staying on Microsoft's key.

    The list decides (platform.md#microsoft-key-list): a flow that may stay by the rules does stay.
    If no rule applies to it, its reason is its Teams trigger if it has one, else `UNKNOWN`.
    """
    if assessment.stays_on_microsoft_key:
        return assessment
    reasons = list(assessment.microsoft_key_reasons) or [MicrosoftKeyReason.UNKNOWN]
    if not assessment.microsoft_key_reasons and definition.category.is_teams:
        reasons = [MicrosoftKeyReason.TEAMS_TRIGGER]
    return _build_evaluation_that_stays(reasons)


def evaluate_flows(
    definitions: Mapping[str, FlowDefinition | DefinitionSummary],
    *,
    in_solution: Mapping[str, bool | None],
    listed: Collection[str] = (),
) -> dict[str, MicrosoftKeyEvaluation]:
    """Return which flows stay on Microsoft's key, and why, by lower-case workflow id.

    The flows may run one another. A child that is not in `definitions` is unknown, and so is its
    parent unless another reason applies. `listed` are the ids in `nonCmkMigratedFlows`.
    """
    graph = DependencyGraph({flow: d.children for flow, d in definitions.items()})
    listed = frozenset(listed)
    found: dict[str, MicrosoftKeyEvaluation] = {}

    def evaluate_single_flow(
        flow: str, held_back: Collection[str], unknown: Collection[str]
    ) -> MicrosoftKeyEvaluation:
        one = evaluate_flow(
            definitions[flow],
            in_solution=in_solution.get(flow),
            held_back_children=frozenset(held_back) - {flow},
            unknown_children=frozenset(unknown) - {flow},
        )
        return explain_listed_flow(definitions[flow], one) if flow in listed else one

    for flow in definitions:
        found[flow] = evaluate_single_flow(flow, listed - definitions.keys(), ())
    held_back = {flow for flow, one in found.items() if one.stays_on_microsoft_key} | listed
    held_back |= graph.find_ancestors(*held_back)
    unknown = {flow for flow, one in found.items() if one.stays_on_microsoft_key is None}
    unknown |= frozenset().union(*graph.missing.values()) - listed
    unknown |= graph.find_ancestors(*unknown) | graph.find_ancestors(*graph.missing)
    unknown |= graph.missing.keys()
    return {
        flow: evaluate_single_flow(flow, held_back, unknown - held_back) for flow in definitions
    }


def _build_evaluation_that_stays(reasons: Sequence[MicrosoftKeyReason]) -> MicrosoftKeyEvaluation:
    text = " ".join(reason.category.text for reason in reasons)
    return MicrosoftKeyEvaluation(
        stays_on_microsoft_key=True, microsoft_key_reasons=tuple(reasons), message=text
    )


def _build_evaluation_that_may_stay(
    reasons: Sequence[MicrosoftKeyReason],
) -> MicrosoftKeyEvaluation:
    text = " ".join(reason.category.in_doubt for reason in reasons)
    return MicrosoftKeyEvaluation(
        stays_on_microsoft_key=None, microsoft_key_reasons=tuple(reasons), message=text
    )

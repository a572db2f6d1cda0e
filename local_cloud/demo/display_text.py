"""Format codes of the app, such as states, as words for people who do not know the app."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.plan_item import PlannedAction

type Json = dict[str, Any]

_ACTIONS: Mapping[str, str] = {
    PlannedAction.COPY: "to copy",
    PlannedAction.COPY_WITH_DEPENDENT_FLOWS: "to copy with parents and children",
    PlannedAction.CUT_OVER: "to cut over to a copy (self-starting)",
    PlannedAction.COPY_OFF: "to copy turned off",
    PlannedAction.ADD_TO_SOLUTION: "to add to a solution",
    PlannedAction.CONVERT_TRIGGER: "to convert to the V2 trigger",
    PlannedAction.EDIT_ACTION: "to convert to List flows as Admin V2",
    PlannedAction.CONTINUE_EXISTING_JOB: "with an existing job",
    PlannedAction.NO_CHANGE: "without changes",
    PlannedAction.NEEDS_CHANGES: "with required changes",
}
_STATES: Mapping[str, str] = {
    FlowJobState.RETIRED: "copied and retired",
    FlowJobState.PREPARED: "prepared",
    FlowJobState.BLOCKED: "blocked",
    FlowJobState.FAILED: "failed",
    FlowJobState.CANCELLED: "cancelled",
    FlowJobState.ROLLED_BACK: "rolled back",
}
#: Reasons why a flow stays. A flow's own reason is before that of its children.
_REASONS = {str(reason): f"({reason.category.title})" for reason in MicrosoftKeyReason}
_PREPARABLE = {
    MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION,
    MicrosoftKeyReason.LIST_FLOWS_AS_ADMIN_V1,
}


def format_plan(counts: Mapping[str, int]) -> str:
    return _format_counts(counts, _ACTIONS)


def format_ends(states: Iterable[str]) -> str:
    return _format_counts(Counter(states), _STATES)


def format_assessment(assessment: Json) -> str:
    staying = [flow for flow in assessment["flows"] if flow["stays_on_microsoft_key"]]
    why = Counter(
        next((name for name in _REASONS if name in flow["microsoft_key_reasons"]), "")
        for flow in staying
    )
    number = sum(bool(_PREPARABLE & set(flow["microsoft_key_reasons"])) for flow in staying)
    return (
        f"{len(staying)} of {format_flow_count(assessment['flow_count'])} "
        f"would stay on Microsoft's key: {_format_counts(why, _REASONS)}. "
        f"{number} of them can be prepared instead of copied."
    )


def format_flow_count(number: int) -> str:
    return f"{number} flow" if number == 1 else f"{number} flows"


def _format_counts(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    known = {name: words.get(name, name) for name in (*words, *counts) if counts.get(name)}
    parts = [f"{counts[name]} {text}" for name, text in known.items()]
    if not parts:
        return "no flow"
    first = next(iter(known))
    parts[0] = f"{format_flow_count(counts[first])} {known[first]}"
    return ", ".join(parts)

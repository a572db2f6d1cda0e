"""Says in whole words what the app answers in codes, for people who see it for the first time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

type Json = dict[str, Any]

_ACTIONS = {
    "copy": "copied",
    "copy_with_family": "copied together with the flows that run them",
    "swap": "swapped, for they start by themselves",
    "copy_off": "copied and left off",
    "add_to_solution": "added to a solution",
    "convert_trigger": "converted to the V2 trigger",
    "edit_action": "converted to List flows as Admin V2",
    "adopt": "already being worked on",
    "leave": "left as they are",
    "blocked": "first need a person",
}
_STATES = {
    "retired": "retired",
    "prepared": "prepared",
    "blocked": "waiting for a person",
    "failed": "failed",
    "cancelled": "cancelled",
    "rolled_back": "rolled back",
}
#: Why a flow stays, the reason of its own before that of its children.
_REASONS = {
    "http_trigger": "start from an HTTP request",
    "teams_trigger": "start from Teams",
    "power_apps_v1_outside_solution": "start from Power Apps (V1) outside a solution",
    "list_flows_as_admin_v1": "use List flows as Admin (V1)",
    "parent_of_mmk_flow": "run one of these",
}
_PREPARABLE = frozenset({"power_apps_v1_outside_solution", "list_flows_as_admin_v1"})


def plan_in_words(counts: Mapping[str, int]) -> str:
    """Say what a plan does, from the number of flows by action."""
    return listed(f"{counts[name]} {text}" for name, text in _ACTIONS.items() if counts.get(name))


def ends_in_words(states: Iterable[str]) -> str:
    """Say how flow jobs ended, from the state of each."""
    counted = Counter(states)
    return listed(f"{counted[name]} {text}" for name, text in _STATES.items() if counted[name])


def assessment_in_words(assessment: Json) -> str:
    """Say how many flows will stay, why, and how many of them can be prepared."""
    staying = [flow for flow in assessment["flows"] if flow["stays_on_mmk"]]
    counted = Counter(
        next((name for name in _REASONS if name in flow["reasons"]), "") for flow in staying
    )
    why = listed(f"{counted[name]} {text}" for name, text in _REASONS.items() if counted[name])
    number = sum(bool(_PREPARABLE & set(flow["reasons"])) for flow in staying)
    return (
        f"{len(staying)} of {assessment['flow_count']} flows would stay on Microsoft's key: {why}. "
        f"{number} of them can be prepared before, and then need no copy."
    )


def listed(texts: Iterable[str]) -> str:
    """Join as in a sentence."""
    parts: Sequence[str] = list(texts)
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "nothing"

"""Define the Microsoft-key reasons: the rules by which flows stay on Microsoft's key, and their
texts.

A reason is a member of `MicrosoftKeyReason` with a `MicrosoftKeyRule`. No field of the rule has a
default, so that the type checker reports a missing text.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from shared.domain.definitions.flow_definition import FlowDefinition
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.definitions.trigger_kinds import TriggerCategory


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedFlow:
    """The facts about a flow that the rules of Microsoft-key reasons use."""

    definition: FlowDefinition | DefinitionSummary
    #: None: unknown.
    in_solution: bool | None
    #: Workflow ids of flows that stay, and of flows that may stay.
    held_back: Collection[str]
    unknown: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftKeyRule:
    """The rule and the texts of one Microsoft-key reason."""

    #: A short name for tables.
    title: str
    #: Returns whether the rule applies to a flow; None: the definition does not show it.
    holds: Callable[[EvaluatedFlow], bool | None]
    #: Why such a flow stays, as one sentence.
    text: str
    #: Why it may stay; empty: a definition always shows it.
    in_doubt: str
    #: What to do, the preferred way first: before the key is applied, and after it.
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: What happens to a flow that was not changed before the key is applied.
    unprepared: str


def _is_started_by_teams(flow: EvaluatedFlow) -> bool | None:
    categories = set(flow.definition.trigger_categories)
    if categories & {TriggerCategory.TEAMS_WEBHOOK, TriggerCategory.TEAMS_MESSAGE_ACTION}:
        return True
    # Microsoft's document says "Teams trigger flows" without a list (platform.md#teams-triggers).
    return None if TriggerCategory.TEAMS_EVENT in categories else False


def _is_v1_outside_solution(flow: EvaluatedFlow) -> bool | None:
    if TriggerCategory.POWER_APPS_V1 not in flow.definition.trigger_categories:
        return False
    return None if flow.in_solution is None else not flow.in_solution


def _runs_flow_that_stays(flow: EvaluatedFlow) -> bool | None:
    children = flow.definition.children
    if any(child in flow.held_back for child in children):
        return True
    return None if any(child in flow.unknown for child in children) else False


def _has_unknown_trigger(flow: EvaluatedFlow) -> bool | None:
    return None if TriggerCategory.UNKNOWN in flow.definition.trigger_categories else False


_HTTP_TRIGGER = MicrosoftKeyRule(
    title="HTTP trigger",
    holds=lambda flow: TriggerCategory.HTTP in flow.definition.trigger_categories,
    text="It starts from an HTTP request, and its URL changes with the key.",
    in_doubt="",
    before=(
        (
            "It needs a copy with a new URL once the key is applied. To prepare, store its URL "
            "where the app can change it (app setting, Key Vault)."
        ),
    ),
    after=(("Start a remediation, which copies it and writes the copy's URL into its callers."),),
    unprepared="It is copied after the key is applied, because its URL changes.",
)
_TEAMS_TRIGGER = MicrosoftKeyRule(
    title="Teams trigger",
    holds=_is_started_by_teams,
    text="A Teams trigger starts it.",
    in_doubt="A Teams event starts it; Microsoft's documents do not say whether such a flow stays.",
    before=(("It needs a copy once the key is applied. The URL of a webhook changes then."),),
    after=(
        ("Start a remediation, which copies it. Then make Teams and all callers use the copy."),
    ),
    unprepared="It is copied after the key is applied, because Teams starts it.",
)
_POWER_APPS_V1_OUTSIDE_SOLUTION = MicrosoftKeyRule(
    title="Power Apps V1, in no solution",
    holds=_is_v1_outside_solution,
    text="It starts from the Power Apps V1 trigger and is in no solution.",
    in_doubt="It starts from the Power Apps V1 trigger, so it stays unless it is in a solution.",
    before=(
        (
            "Recommended: change its trigger to Power Apps (V2) before the key is applied, "
            "together with the makers of its canvas apps: `cmkflow remediation start ENVIRONMENT "
            "--mode prepare --flow ID`."
        ),
        (
            "Or add it to a solution before the key is applied, which changes neither the flow "
            "nor the canvas app: `cmkflow remediation start ENVIRONMENT --mode prepare`."
        ),
        (
            "Or start a remediation after the key is applied, which copies it. Then make the "
            "canvas apps use the copy."
        ),
    ),
    after=(("Start a remediation, which copies it. Then make the canvas apps use the copy."),),
    unprepared="It is copied after the key is applied.",
)
_LIST_FLOWS_AS_ADMIN_V1 = MicrosoftKeyRule(
    title="List flows as Admin (V1)",
    holds=lambda flow: flow.definition.uses_list_flows_as_admin_v1,
    text="It uses the action List flows as Admin (V1).",
    in_doubt="",
    before=(
        (
            "Change the action List flows as Admin (V1) to V2 before the key is applied. V2 "
            "returns fewer fields; the plan shows the change. If the flow uses none of the "
            "missing fields: `cmkflow remediation start ENVIRONMENT --mode prepare --flow ID`."
        ),
        "Or delete the action.",
    ),
    after=(
        (
            "Change the action List flows as Admin (V1) to V2. V2 returns fewer fields; the plan "
            "shows the change. If the flow uses none of the missing fields: `cmkflow remediation "
            "start ENVIRONMENT --mode apply --flow ID`."
        ),
        "Or delete the action.",
    ),
    unprepared="Its action has to be changed to V2, before or after the key is applied.",
)
_PARENT_OF_MMK_FLOW = MicrosoftKeyRule(
    title="runs a child flow on Microsoft's key",
    holds=_runs_flow_that_stays,
    text="It runs a child flow that stays on Microsoft's key.",
    in_doubt="It runs a child flow that may stay on Microsoft's key.",
    before=(
        (
            "Change its child flows first: if the platform can move them, it moves this flow "
            "too. Otherwise this flow is copied with them."
        ),
    ),
    after=("Start a remediation, which copies it after the flows that it runs.",),
    unprepared="It runs flows that stay. It moves when they do, or is copied with them.",
)
_UNEXPLAINED = MicrosoftKeyRule(
    title="no reason found",
    holds=_has_unknown_trigger,
    text="The platform lists it as not migrated, and its definition shows no reason.",
    in_doubt="The app does not know its trigger, so it may stay.",
    before=(
        (
            "Ask Microsoft's support why the flow cannot move. Otherwise start a remediation "
            "after the key is applied."
        ),
    ),
    after=(
        (
            "Start a remediation, which copies it. Ask Microsoft's support if the copy is listed "
            "too."
        ),
    ),
    unprepared="It is copied after the key is applied. Why it stays is unknown.",
)


class MicrosoftKeyReason(StrEnum):
    """A reason why a flow stays on Microsoft's key (platform.md#flows-that-stay)."""

    category: MicrosoftKeyRule

    def __new__(cls, value: str, category: MicrosoftKeyRule) -> Self:
        """Create a member from its value and its rule."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.category = category
        return member

    HTTP_TRIGGER = "http_trigger", _HTTP_TRIGGER
    TEAMS_TRIGGER = "teams_trigger", _TEAMS_TRIGGER
    POWER_APPS_V1_OUTSIDE_SOLUTION = (
        "power_apps_v1_outside_solution",
        _POWER_APPS_V1_OUTSIDE_SOLUTION,
    )
    LIST_FLOWS_AS_ADMIN_V1 = "list_flows_as_admin_v1", _LIST_FLOWS_AS_ADMIN_V1
    PARENT_OF_MICROSOFT_KEY_FLOW = "parent_of_microsoft_key_flow", _PARENT_OF_MMK_FLOW
    #: The platform lists the flow, and its definition shows no reason.
    UNKNOWN = "unknown", _UNEXPLAINED

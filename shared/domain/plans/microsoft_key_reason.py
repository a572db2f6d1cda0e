"""The categories of flows that a key leaves behind: the rule, and all that is said of each.

A category is one entry of `MicrosoftKeyReason` with a `MicrosoftKeyRule`, of which no field has a
default: who adds one and forgets what is said of it is told by the type checker, and at the first
import.
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
    """What the rule looks at."""

    definition: FlowDefinition | DefinitionSummary
    #: None: nobody knows.
    in_solution: bool | None
    #: Workflow ids of flows that stay, and of those of which it is not known.
    held_back: Collection[str]
    unknown: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftKeyRule:
    """One category of flows that stay on Microsoft's key."""

    #: A few words, for tables.
    title: str
    #: Whether a flow belongs to it; None: the definition does not tell.
    holds: Callable[[EvaluatedFlow], bool | None]
    #: One sentence for a person: why such a flow stays.
    text: str
    #: The same where it may stay; empty: a definition always tells.
    in_doubt: str
    #: What to do, the recommended way first: before the key is applied, and after it.
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: What becomes of a flow that nothing spares the copy before the key.
    unprepared: str


def _starts_from_http(flow: EvaluatedFlow) -> bool:
    return TriggerCategory.HTTP in flow.definition.trigger_categories


def _is_started_by_teams(flow: EvaluatedFlow) -> bool | None:
    categories = set(flow.definition.trigger_categories)
    if categories & {TriggerCategory.TEAMS_WEBHOOK, TriggerCategory.TEAMS_MESSAGE_ACTION}:
        return True
    # The document says "Teams trigger flows" and itemises nothing (platform.md#teams-triggers).
    return None if TriggerCategory.TEAMS_EVENT in categories else False


def _is_v1_outside_solution(flow: EvaluatedFlow) -> bool | None:
    if TriggerCategory.POWER_APPS_V1 not in flow.definition.trigger_categories:
        return False
    return None if flow.in_solution is None else not flow.in_solution


def _lists_flows_v1(flow: EvaluatedFlow) -> bool:
    return flow.definition.uses_list_flows_as_admin_v1


def _runs_one_that_stays(flow: EvaluatedFlow) -> bool | None:
    children = flow.definition.children
    if any(child in flow.held_back for child in children):
        return True
    return None if any(child in flow.unknown for child in children) else False


def _has_unknown_trigger(flow: EvaluatedFlow) -> bool | None:
    return None if TriggerCategory.UNKNOWN in flow.definition.trigger_categories else False


_HTTP_TRIGGER = MicrosoftKeyRule(
    title="HTTP trigger",
    holds=_starts_from_http,
    text="It starts from an HTTP request, and its URL changes with the key.",
    in_doubt="",
    before=(
        (
            "Nothing can be done before: it needs a copy with a new URL once the key is "
            "applied. Put its URL where the app can change it (app setting, Key Vault)."
        ),
    ),
    after=(
        (
            "Copy it (Save as), and give the systems that call it the URL of the copy: order "
            "a remediation."
        ),
    ),
    unprepared="Its URL changes with the key: it is copied after the key is applied.",
)
_TEAMS_TRIGGER = MicrosoftKeyRule(
    title="Teams trigger",
    holds=_is_started_by_teams,
    text="A Teams trigger starts it.",
    in_doubt=(
        "A Teams event starts it; Microsoft's documents do not say whether this trigger counts."
    ),
    before=(
        (
            "Nothing can be done before: it needs a copy once the key is applied. A webhook's "
            "URL changes with it."
        ),
    ),
    after=(
        ("Copy it (Save as), and let Teams and all callers use the copy: order a remediation."),
    ),
    unprepared="Teams starts it: it is copied after the key is applied.",
)
_POWER_APPS_V1_OUTSIDE_SOLUTION = MicrosoftKeyRule(
    title="Power Apps V1, in no solution",
    holds=_is_v1_outside_solution,
    text="It starts from the Power Apps V1 trigger and is in no solution.",
    in_doubt=("It starts from the Power Apps V1 trigger: it stays unless it is in a solution."),
    before=(
        (
            "Recommended: change its trigger to Power Apps (V2) before the key is applied, "
            "together with the makers of its apps. The app changes it where the flow is "
            "named: cmkflow remediation start ENVIRONMENT --mode prepare --flow ID."
        ),
        (
            "Or have the app add it to a solution before the key is applied, which changes "
            "neither flow nor app: cmkflow remediation start ENVIRONMENT --mode prepare."
        ),
        (
            "Or let the app copy it after the key is applied, and let the apps that run it "
            "use the copy."
        ),
    ),
    after=(("Copy it (Save as), and let the apps that run it use the copy: order a remediation."),),
    unprepared="It is copied after the key is applied.",
)
_LIST_FLOWS_AS_ADMIN_V1 = MicrosoftKeyRule(
    title="List flows as Admin (V1)",
    holds=_lists_flows_v1,
    text="It uses the action List flows as Admin (V1): change it to V2 or delete it.",
    in_doubt="",
    before=(
        (
            "Change the action List flows as Admin (V1) to V2 before the key is applied. V2 "
            "returns fewer fields: the app shows the change, and makes it where nothing "
            "misses them and the flow is named: "
            "cmkflow remediation start ENVIRONMENT --mode prepare --flow ID."
        ),
        "Or delete the action.",
    ),
    after=(
        (
            "Change the action List flows as Admin (V1) to V2. V2 returns fewer fields: the "
            "app shows the change, and makes it where nothing misses them and the flow is "
            "named: cmkflow remediation start ENVIRONMENT --mode apply --flow ID."
        ),
        "Or delete the action.",
    ),
    unprepared="Its action has to be changed to V2, before or after the key is applied.",
)
_PARENT_OF_MMK_FLOW = MicrosoftKeyRule(
    title="parent of such a flow",
    holds=_runs_one_that_stays,
    text="It runs a child flow that stays on the Microsoft-managed key.",
    in_doubt="It runs a child flow of which this is not known.",
    before=(
        (
            "Settle the flows that it runs first: if they can move by themselves, it moves "
            "with them. Else it is copied with its family."
        ),
    ),
    after=("Copy it with its family, the flows that it runs first: order a remediation.",),
    unprepared=("It runs flows that stay: it moves with them, or is copied with them afterwards."),
)
_UNEXPLAINED = MicrosoftKeyRule(
    title="no reason found",
    holds=_has_unknown_trigger,
    text="The platform lists it as not migrated; nothing in its definition says why.",
    in_doubt="Its trigger is none that the app knows, so whether it moves is not known.",
    before=(
        (
            "Ask Microsoft's support why the flow cannot move; else copy it after the key is "
            "applied."
        ),
    ),
    after=(
        (
            "Copy it (Save as): order a remediation. Ask Microsoft's support if the copy is "
            "listed as well."
        ),
    ),
    unprepared="Nothing says why it stays: it is copied after the key is applied.",
)


class MicrosoftKeyReason(StrEnum):
    """What keeps a flow on the MMK (platform.md#flows-that-stay).

    A flow's own reason comes before that of its children.
    """

    category: MicrosoftKeyRule

    def __new__(cls, value: str, category: MicrosoftKeyRule) -> Self:
        """Make the member: its value stands in rows, reports and the API."""
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
    #: the platform lists the flow and the definition does not say why
    UNKNOWN = "unknown", _UNEXPLAINED

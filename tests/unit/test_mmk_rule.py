"""The documented rule, with an honest *unknown* where a definition does not tell."""

from typing import Any

import pytest

from shared.domain.definitions.flow_definition import FlowDefinition, parse_client_data
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.microsoft_key_rule import evaluate_flow, evaluate_flows, explain_listed


def flow(kind: str = "Button", *, calls: tuple[str, ...] = (), **trigger: Any) -> FlowDefinition:
    """A flow that starts and calls as told."""
    actions = {
        f"run_{child}": {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": child}}}
        for child in calls
    }
    body = {"type": "Request", "kind": kind, **trigger}
    return parse_client_data({"triggers": {"t": body}, "actions": actions})


def teams(operation: str) -> FlowDefinition:
    """A flow started by an operation of the Teams connector."""
    host = {"apiId": "/apis/shared_teams", "operationId": operation}
    return flow("", type="OpenApiConnectionWebhook", inputs={"host": host})


@pytest.mark.parametrize(
    ("definition", "in_solution", "stays", "reasons"),
    [
        (flow("Http"), True, True, [MicrosoftKeyReason.HTTP_TRIGGER]),
        (flow("TeamsWebhook"), None, True, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (teams("OnMessageSelectedV2"), True, True, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (teams("WebhookKeywordTrigger"), True, None, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (teams("RecordingTrigger"), True, False, []),
        (flow("PowerApp"), True, False, []),
        (flow("PowerApp"), False, True, [MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION]),
        (flow("PowerApp"), None, None, [MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION]),
        (flow("PowerAppV2"), False, False, []),
        (flow(calls=("c",)), True, False, []),
        (flow("VirtualAgent"), True, False, []),
        (flow("NobodyKnows"), True, None, [MicrosoftKeyReason.UNKNOWN]),
    ],
)
def test_the_trigger_decides(
    definition: FlowDefinition,
    in_solution: bool | None,
    stays: bool | None,
    reasons: list[MicrosoftKeyReason],
) -> None:
    """HTTP, Teams and Power Apps V1 outside a solution stay; the documents are vague on events."""
    assessment = evaluate_flow(definition, in_solution=in_solution)

    assert assessment.stays_on_microsoft_key is stays
    assert list(assessment.microsoft_key_reasons) == reasons
    assert assessment.message


def test_a_parent_of_a_flow_that_stays_stays_too() -> None:
    """Held-back children that it does not call do not count."""
    parent = flow(calls=("c",))

    assert evaluate_flow(
        parent, in_solution=True, held_back_children={"c"}
    ).microsoft_key_reasons == (MicrosoftKeyReason.PARENT_OF_MICROSOFT_KEY_FLOW,)
    assert not evaluate_flow(
        parent, in_solution=True, held_back_children={"x"}
    ).stays_on_microsoft_key


def test_a_logic_app_is_nothing_to_power_platform() -> None:
    """An HTTP-triggered Logic App is under no key of ours."""
    definition = {"triggers": {"t": {"type": "Request", "kind": "Http"}}, "actions": {}}
    logic_app = parse_client_data({"definition": definition, "kind": "Stateful"})

    assert evaluate_flow(logic_app, in_solution=None).stays_on_microsoft_key is False


def test_the_platforms_list_settles_every_doubt() -> None:
    """A listed flow stays: for the reason that was in doubt, or for one that nobody can see."""
    event, v1, plain = teams("WebhookKeywordTrigger"), flow("PowerApp"), flow()

    listed = [
        explain_listed(one, evaluate_flow(one, in_solution=None)).microsoft_key_reasons
        for one in (event, v1, plain)
    ]

    assert listed == [
        (MicrosoftKeyReason.TEAMS_TRIGGER,),
        (MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION,),
        (MicrosoftKeyReason.UNKNOWN,),
    ]


def test_reasons_travel_up_through_a_family() -> None:
    """Every ancestor of a flow that stays does, in a cycle too; a missing child is a doubt."""
    definitions = {
        "top": flow(calls=("mid",)),
        "mid": flow(calls=("http", "top")),
        "http": flow("Http"),
        "doubtful": flow(calls=("gone",)),
        "above": flow(calls=("doubtful",)),
        "listed-parent": flow(calls=("other",)),
        "free": flow(),
        "riddle": flow("NobodyKnows"),
        "above-riddle": flow(calls=("riddle",)),
    }

    found = evaluate_flows(
        definitions, in_solution=dict.fromkeys(definitions, True), listed={"other"}
    )

    assert {name: one.stays_on_microsoft_key for name, one in found.items()} == {
        "top": True,
        "mid": True,
        "http": True,
        "doubtful": None,
        "above": None,
        "listed-parent": True,
        "free": False,
        "riddle": None,
        "above-riddle": None,
    }


@pytest.mark.parametrize("reason", MicrosoftKeyReason)
def test_every_category_says_all_that_is_asked_of_it(reason: MicrosoftKeyReason) -> None:
    """Why a flow stays, what to do before the key and after it, what else becomes of it."""
    category = reason.category

    assert all((category.title, category.text, category.before, category.after))
    assert category.unprepared
    if reason is not MicrosoftKeyReason.UNKNOWN:
        assert category.holds.__name__ != MicrosoftKeyReason.UNKNOWN.category.holds.__name__

from typing import Any

import pytest

from shared.domain.definitions.flow_definition import FlowDefinition, parse_client_data
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.microsoft_key_rule import (
    evaluate_flow,
    evaluate_flows,
    explain_listed_flow,
)


def build_flow(
    kind: str = "Button", *, calls: tuple[str, ...] = (), **trigger: Any
) -> FlowDefinition:
    actions = {
        f"run_{child}": {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": child}}}
        for child in calls
    }
    body = {"type": "Request", "kind": kind, **trigger}
    return parse_client_data({"triggers": {"t": body}, "actions": actions})


def build_teams_flow(operation: str) -> FlowDefinition:
    host = {"apiId": "/apis/shared_teams", "operationId": operation}
    return build_flow("", type="OpenApiConnectionWebhook", inputs={"host": host})


@pytest.mark.parametrize(
    ("definition", "in_solution", "stays", "reasons"),
    [
        (build_flow("Http"), True, True, [MicrosoftKeyReason.HTTP_TRIGGER]),
        (build_flow("TeamsWebhook"), None, True, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (build_teams_flow("OnMessageSelectedV2"), True, True, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (build_teams_flow("WebhookKeywordTrigger"), True, None, [MicrosoftKeyReason.TEAMS_TRIGGER]),
        (build_teams_flow("RecordingTrigger"), True, False, []),
        (build_flow("PowerApp"), True, False, []),
        (build_flow("PowerApp"), False, True, [MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION]),
        (build_flow("PowerApp"), None, None, [MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION]),
        (build_flow("PowerAppV2"), False, False, []),
        (build_flow(calls=("c",)), True, False, []),
        (build_flow("VirtualAgent"), True, False, []),
        (build_flow("NobodyKnows"), True, None, [MicrosoftKeyReason.UNKNOWN]),
    ],
)
def test_trigger_decides_if_a_flow_stays(
    definition: FlowDefinition,
    in_solution: bool | None,
    stays: bool | None,
    reasons: list[MicrosoftKeyReason],
) -> None:
    """For some Teams events the answer is unknown, because Microsoft's documents are vague."""
    assessment = evaluate_flow(definition, in_solution=in_solution)

    assert assessment.stays_on_microsoft_key is stays
    assert list(assessment.microsoft_key_reasons) == reasons
    assert assessment.message


def test_parent_of_a_flow_on_microsofts_key_stays() -> None:
    parent = build_flow(calls=("c",))

    assert evaluate_flow(
        parent, in_solution=True, held_back_children={"c"}
    ).microsoft_key_reasons == (MicrosoftKeyReason.PARENT_OF_MICROSOFT_KEY_FLOW,)
    assert not evaluate_flow(
        parent, in_solution=True, held_back_children={"x"}
    ).stays_on_microsoft_key


def test_logic_app_does_not_stay_on_microsofts_key() -> None:
    """A Logic App is not part of Power Platform."""
    definition = {"triggers": {"t": {"type": "Request", "kind": "Http"}}, "actions": {}}
    logic_app = parse_client_data({"definition": definition, "kind": "Stateful"})

    assert evaluate_flow(logic_app, in_solution=None).stays_on_microsoft_key is False


def test_flow_on_the_platforms_list_stays() -> None:
    event, v1, plain = (
        build_teams_flow("WebhookKeywordTrigger"),
        build_flow("PowerApp"),
        build_flow(),
    )

    listed = [
        explain_listed_flow(one, evaluate_flow(one, in_solution=None)).microsoft_key_reasons
        for one in (event, v1, plain)
    ]

    assert listed == [
        (MicrosoftKeyReason.TEAMS_TRIGGER,),
        (MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION,),
        (MicrosoftKeyReason.UNKNOWN,),
    ]


def test_ancestors_of_a_flow_on_microsofts_key_stay() -> None:
    definitions = {
        "top": build_flow(calls=("mid",)),
        "mid": build_flow(calls=("http", "top")),
        "http": build_flow("Http"),
        "doubtful": build_flow(calls=("gone",)),
        "above": build_flow(calls=("doubtful",)),
        "listed-parent": build_flow(calls=("other",)),
        "free": build_flow(),
        "riddle": build_flow("NobodyKnows"),
        "above-riddle": build_flow(calls=("riddle",)),
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
def test_every_microsoft_key_reason_has_all_texts(reason: MicrosoftKeyReason) -> None:
    category = reason.category

    assert all((category.title, category.text, category.before, category.after))
    assert category.unprepared
    if reason is not MicrosoftKeyReason.UNKNOWN:
        assert category.holds.__name__ != MicrosoftKeyReason.UNKNOWN.category.holds.__name__

import json
from typing import Any

import pytest

from shared.domain.conversions.power_apps_trigger import convert_power_apps_trigger
from shared.domain.definitions.flow_definition import parse_client_data
from shared.domain.definitions.trigger_kinds import TriggerCategory


def _build_flow(properties: dict[str, Any], inputs: object, **schema: Any) -> str:
    trigger = {
        "type": "Request",
        "kind": "PowerApp",
        "inputs": {
            "schema": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                **schema,
            }
        },
    }
    actions = {"Compose": {"type": "Compose", "inputs": inputs, "runAfter": {}}}
    definition = {"triggers": {"manual": trigger}, "actions": actions}
    properties_ = {"connectionReferences": {"a": {"b": 1}}, "definition": definition}
    return json.dumps({"properties": properties_, "schemaVersion": "1.0.0.0"})


def _build_text_input(kind: str = "string", **more: object) -> dict[str, object]:
    return {"type": kind, "description": "Enter", "x-ms-powerflows-param-ispartial": False, **more}


def _parse_definition(client_data: str) -> Any:
    return json.loads(client_data)["properties"]["definition"]


def test_inputs_get_names_by_their_type_and_order() -> None:
    before = _build_flow(
        {
            "Name_Value": _build_text_input(),
            "Sum_Value": _build_text_input("number"),
            "City_Value": _build_text_input(),
            "Sure_Value": _build_text_input("boolean"),
        },
        "",
    )

    after = convert_power_apps_trigger(before)

    trigger = _parse_definition(after.client_data)["triggers"]["manual"]
    schema = trigger["inputs"]["schema"]
    assert trigger["kind"] == "PowerAppV2"
    assert list(schema["properties"]) == ["text", "number", "text_1", "boolean"]
    assert schema["required"] == ["text", "number", "text_1", "boolean"]
    assert schema["properties"]["text_1"] == {
        "title": "City",
        "type": "string",
        "x-ms-dynamically-added": True,
        "description": "Enter",
        "x-ms-content-hint": "TEXT",
    }


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ("@triggerBody()?['Name_Value']", "@triggerBody()?['text']"),
        ("@{triggerBody()['Name_Value']}!", "@{triggerBody()['text']}!"),
        ("@triggerBody().Name_Value", "@triggerBody().text"),
        ("@triggerOutputs()?['body/Name_Value']", "@triggerOutputs()?['body/text']"),
        ("@triggerOutputs()?['body']?['Name_Value']", "@triggerOutputs()?['body']?['text']"),
        ("@trigger()?.outputs?.body?.Name_Value", "@trigger()?.outputs?.body?.text"),
        ("@trigger()['startTime']", "@trigger()['startTime']"),
        ("@triggerOutputs().headers['X-MS']", "@triggerOutputs().headers['X-MS']"),
        ("@@{triggerBody()['Name_Value']}", "@@{triggerBody()['Name_Value']}"),
        ("Name_Value", "Name_Value"),
    ],
)
def test_every_expression_reads_the_new_name(reads: str, expected: str) -> None:
    """Expressions of the trigger's headers and times stay unchanged, and so does literal text."""
    before = _build_flow({"Name_Value": _build_text_input()}, {"deep": [reads]})

    after = convert_power_apps_trigger(before)

    assert after.obstacles == ()
    inputs = _parse_definition(after.client_data)["actions"]["Compose"]["inputs"]
    assert inputs == {"deep": [expected]}


@pytest.mark.parametrize(
    ("reads", "says"),
    [
        ("@triggerBody()", "as a whole"),
        ("@string(triggerBody())", "as a whole"),
        ("@triggerOutputs()", "as a whole"),
        ("@trigger()", "as a whole"),
        ("@triggerBody()?[variables('x')]", "as a whole"),
        ("@triggerMultipartBody(0)", "as a whole"),
        ("@triggerBody()?['Other_Value']", "Other_Value"),
        ("@triggerOutputs()?['body/Name_Value/deep']", "Name_Value/deep"),
    ],
)
def test_ambiguous_input_is_not_converted(reads: str, says: str) -> None:
    before = _build_flow({"Name_Value": _build_text_input()}, reads)

    after = convert_power_apps_trigger(before)

    assert after.client_data == before
    (obstacle,) = after.obstacles
    assert says in obstacle


@pytest.mark.parametrize(
    "value", [{"type": "any"}, {"type": "object"}, {}, {"type": "string", "format": "byte"}]
)
def test_an_input_without_a_counterpart_is_not_converted(value: dict[str, object]) -> None:
    before = _build_flow({"Name_Value": value}, "")

    after = convert_power_apps_trigger(before)

    assert after.client_data == before
    assert "Name_Value" in after.obstacles[0]


def test_member_name_with_an_expression_is_an_obstacle() -> None:
    before = _build_flow({"Name_Value": _build_text_input()}, {"@{triggerBody()['Name_Value']}": 1})

    after = convert_power_apps_trigger(before)

    assert after.obstacles != ()


def test_two_inputs_with_the_same_title_keep_their_names() -> None:
    """With equal titles, a user could not tell the two inputs apart."""
    before = _build_flow({"Name": _build_text_input(), "Name_Value": _build_text_input()}, "")

    after = convert_power_apps_trigger(before)

    inputs = _parse_definition(after.client_data)["triggers"]["manual"]["inputs"]["schema"][
        "properties"
    ]
    assert [one["title"] for one in inputs.values()] == ["Name", "Name_Value"]


def test_second_conversion_changes_nothing() -> None:
    once = convert_power_apps_trigger(
        _build_flow({"Name_Value": _build_text_input()}, "@triggerBody()?['Name_Value']")
    )

    twice = convert_power_apps_trigger(once.client_data)

    assert parse_client_data(once.client_data).category is TriggerCategory.POWER_APPS_V2
    assert twice.client_data == once.client_data

"""Unit tests of converting Power Apps (V1) to Power Apps (V2)."""

import json
from typing import Any

import pytest

from shared.domain.conversions.power_apps_trigger import convert_power_apps_trigger
from shared.domain.definitions.flow_definition import parse_client_data
from shared.domain.definitions.trigger_kinds import TriggerCategory


def _flow(properties: dict[str, Any], inputs: object, **schema: Any) -> str:
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


def _text(kind: str = "string", **more: object) -> dict[str, object]:
    return {"type": kind, "description": "Enter", "x-ms-powerflows-param-ispartial": False, **more}


def _definition(client_data: str) -> Any:
    return json.loads(client_data)["properties"]["definition"]


def test_inputs_are_named_by_type_in_their_order() -> None:
    """Texts, numbers and switches each count for themselves; the old name is the title."""
    before = _flow(
        {
            "Name_Value": _text(),
            "Sum_Value": _text("number"),
            "City_Value": _text(),
            "Sure_Value": _text("boolean"),
        },
        "",
    )

    after = convert_power_apps_trigger(before)

    trigger = _definition(after.client_data)["triggers"]["manual"]
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
    """Whichever way an input is read; headers, times and literal text stay."""
    before = _flow({"Name_Value": _text()}, {"deep": [reads]})

    after = convert_power_apps_trigger(before)

    assert after.obstacles == ()
    inputs = _definition(after.client_data)["actions"]["Compose"]["inputs"]
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
def test_what_cannot_be_told_is_not_converted(reads: str, says: str) -> None:
    """The definition stays as it was, and the reason names what is read."""
    before = _flow({"Name_Value": _text()}, reads)

    after = convert_power_apps_trigger(before)

    assert after.client_data == before
    (obstacle,) = after.obstacles
    assert says in obstacle


@pytest.mark.parametrize(
    "value", [{"type": "any"}, {"type": "object"}, {}, {"type": "string", "format": "byte"}]
)
def test_an_input_without_a_counterpart_is_not_converted(value: dict[str, object]) -> None:
    """Files, objects and inputs of any type would mean something else."""
    before = _flow({"Name_Value": value}, "")

    after = convert_power_apps_trigger(before)

    assert after.client_data == before
    assert "Name_Value" in after.obstacles[0]


def test_a_name_that_is_an_expression_is_an_obstacle() -> None:
    """Members cannot be renamed surely."""
    before = _flow({"Name_Value": _text()}, {"@{triggerBody()['Name_Value']}": 1})

    after = convert_power_apps_trigger(before)

    assert after.obstacles != ()


def test_two_inputs_of_one_title_keep_their_names() -> None:
    """A person has to tell them apart."""
    before = _flow({"Name": _text(), "Name_Value": _text()}, "")

    after = convert_power_apps_trigger(before)

    inputs = _definition(after.client_data)["triggers"]["manual"]["inputs"]["schema"]["properties"]
    assert [one["title"] for one in inputs.values()] == ["Name", "Name_Value"]


def test_converting_twice_changes_nothing() -> None:
    """The second time there is no V1 trigger."""
    once = convert_power_apps_trigger(
        _flow({"Name_Value": _text()}, "@triggerBody()?['Name_Value']")
    )

    twice = convert_power_apps_trigger(once.client_data)

    assert parse_client_data(once.client_data).category is TriggerCategory.POWER_APPS_V2
    assert twice.client_data == once.client_data

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.conversions.preview import (
    build_unified_diff,
    convert_definition,
    list_possible_conversions,
)
from shared.domain.definitions.expressions import find_function_calls
from shared.domain.definitions.flow_definition import parse_client_data

_EXPRESSIONS = st.sampled_from(
    [
        "@triggerBody()?['A_Value']",
        "@{triggerBody()['A_Value']} and @{body('List')?['value']}",
        "@triggerOutputs()?['body/B_Value']",
        "@body('List')?['value']",
        "@first(outputs('List')?['body/value'])?['properties/creator']",
        "@items('Loop')?['name']",
        "@item()?['properties']?['state']",
        "@length(body('Filter'))",
        "@triggerBody(",
        "plain",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | _EXPRESSIONS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "host", "from", "foreach", "type", "schema", "required"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_LIST = {
    "type": "OpenApiConnection",
    "inputs": {
        "host": {
            "apiId": "/providers/Microsoft.PowerApps/apis/shared_flowmanagement",
            "operationId": "ListFlowsInEnvironment",
        }
    },
}
_KINDS = st.sampled_from(
    ["Foreach", "Query", "Select", "Table", "Compose", "ParseJson", "Http", "If"]
)


@st.composite
def draw_actions(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {"List": json.loads(json.dumps(_LIST))}
    for name in draw(st.lists(st.sampled_from(["Loop", "Filter", "Use"]), unique=True)):
        strange = draw(st.dictionaries(st.sampled_from(["inputs", "foreach"]), _JSON))
        found[name] = {"type": draw(_KINDS)} | strange
        if draw(st.booleans()):
            found[name]["actions"] = {f"In_{name}": {"type": draw(_KINDS), "inputs": draw(_JSON)}}
    return found


@st.composite
def draw_definitions(draw: st.DrawFn) -> str:
    properties = draw(st.dictionaries(st.sampled_from(["A_Value", "B_Value"]), _JSON))
    for name in draw(st.sets(st.sampled_from(["A_Value", "B_Value"]))):
        properties[name] = {"type": draw(st.sampled_from(["string", "boolean", "number"]))}
    schema = {"properties": properties, "required": draw(st.just(list(properties)) | _JSON)}
    trigger = {"type": "Request", "kind": "PowerApp", "inputs": {"schema": schema}}
    definition = {"triggers": {"manual": trigger}, "actions": draw(draw_actions())}
    return json.dumps({"properties": {"definition": definition}, "schemaVersion": "1.0.0.0"})


@given(draw_definitions())
def test_definition_is_converted_completely_or_not_at_all(text: str) -> None:
    edits = list_possible_conversions(parse_client_data(text), in_solution=False)

    converted = convert_definition(text, edits)

    if converted.obstacles:
        assert converted.client_data == text
        return
    assert (
        list_possible_conversions(parse_client_data(converted.client_data), in_solution=False) == ()
    )
    assert (
        convert_definition(converted.client_data, list(ConversionKind)).client_data
        == converted.client_data
    )
    assert build_unified_diff(text, converted.client_data) != ""


@given(st.text(alphabet="@{}()[]?.,'abtriggerBody01 ", max_size=40))
def test_expressions_of_any_text_are_found_at_their_place(text: str) -> None:
    for found in find_function_calls(text):
        assert text[found.start : found.end] == found.text

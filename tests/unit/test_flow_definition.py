import json
from typing import Any

import pytest

from shared.domain.definitions.comparison import is_same_definition
from shared.domain.definitions.flow_definition import (
    DefinitionFormat,
    UnreadableDefinition,
    parse_client_data,
)
from shared.domain.definitions.trigger_kinds import TriggerCategory

BUTTON = {"manual": {"type": "Request", "kind": "Button", "inputs": {"schema": {}}}}
CHILD = "4ada345e-9007-eb11-a813-000d3aa3e751"


def build_definition(**parts: Any) -> dict[str, Any]:
    return {"triggers": BUTTON, "actions": {}, **parts}


#: A schema as the designer saves it, by which a Logic App's code view is recognised.
SAVED = build_definition(
    **{"$schema": "https://schema/workflowdefinition.json#", "contentVersion": "1.0.0.0"}
)


def build_client_data(**parts: Any) -> dict[str, Any]:
    properties = {"connectionReferences": {}, "definition": build_definition(**parts)}
    return {"properties": properties, "schemaVersion": "1.0.0.0"}


@pytest.mark.parametrize(
    ("document", "format_"),
    [
        (build_client_data(), DefinitionFormat.CLIENT_DATA),
        (
            {
                "name": "x",
                "type": "Microsoft.Flow/flows",
                "properties": build_client_data()["properties"],
            },
            DefinitionFormat.FLOW,
        ),
        ({"displayName": "x", "definition": build_definition()}, DefinitionFormat.FLOW),
        ({"definition": build_definition(), "kind": "Stateful"}, DefinitionFormat.LOGIC_APP),
        (
            {"type": "Microsoft.Logic/workflows", "properties": {"definition": build_definition()}},
            DefinitionFormat.LOGIC_APP,
        ),
        (build_definition(), DefinitionFormat.DEFINITION_ONLY),
        ({"definition": SAVED, "parameters": {}}, DefinitionFormat.LOGIC_APP),
        ({"properties": {"definition": SAVED, "state": "Enabled"}}, DefinitionFormat.LOGIC_APP),
        (SAVED, DefinitionFormat.LOGIC_APP),
        ({**SAVED, "parameters": {"$authentication": {}}}, DefinitionFormat.DEFINITION_ONLY),
        ({"connectionReferences": {}, "definition": SAVED}, DefinitionFormat.FLOW),
    ],
)
def test_every_format_gives_the_same_flow(
    document: dict[str, Any], format_: DefinitionFormat
) -> None:
    flow = parse_client_data("\ufeff" + json.dumps(document))

    assert flow.format is format_
    assert flow.category is TriggerCategory.BUTTON
    assert flow == parse_client_data(document)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"properties": {}}', '{"triggers": {}}', "{sig=abc", "[" * 9**5],
)
def test_anything_else_is_unreadable_and_not_quoted(text: str) -> None:
    """The text may contain a signature."""
    with pytest.raises(UnreadableDefinition) as error:
        parse_client_data(text)

    assert "sig=abc" not in f"{error.value!r} {error.value.__cause__!r}"


def test_the_trigger_is_read() -> None:
    inputs = {"triggerAuthenticationType": "All", "method": "POST", "relativePath": "/orders/{id}"}
    flow = parse_client_data(
        build_definition(triggers={"When": {"type": "Request", "kind": "Http", "inputs": inputs}})
    )

    (trigger,) = flow.triggers
    assert (trigger.name, trigger.category) == ("When", TriggerCategory.HTTP)
    assert (trigger.authentication, trigger.method) == ("All", "POST")
    assert trigger.relative_path == "/orders/{id}"
    assert not flow.is_self_starting


@pytest.mark.parametrize(
    ("inputs", "references"),
    [
        ({"host": {"apiId": "/providers/Microsoft.PowerApps/apis/shared_teams"}}, {}),
        ({"host": {"connectionName": "shared_teams_4"}}, {}),
        ({"host": {"connectionName": "x"}}, {"x": {"api": {"name": "shared_teams"}}}),
        (
            {"host": {"connectionReferenceName": "x"}},
            {"x": {"id": "/providers/y/apis/shared_teams"}},
        ),
        (
            {"host": {"connection": {"name": "@parameters('$connections')['t']['connectionId']"}}},
            {"t": {"api": {"id": "/subscriptions/s/managedApis/shared_teams"}}},
        ),
    ],
)
def test_the_connector_is_resolved(inputs: dict[str, Any], references: dict[str, Any]) -> None:
    trigger = {
        "type": "ApiConnectionWebhook",
        "inputs": inputs,
        "metadata": {"flowSystemMetadata": {"swaggerOperationId": "WebhookKeywordTrigger"}},
    }
    document = {
        "connectionReferences": references,
        "definition": build_definition(triggers={"t": trigger}),
    }

    (found,) = parse_client_data(document).triggers

    assert (found.connector, found.operation_id) == ("shared_teams", "WebhookKeywordTrigger")
    assert found.category is TriggerCategory.TEAMS_EVENT


def test_actions_are_found_in_every_container_at_any_depth() -> None:
    call = {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": CHILD.upper()}}}
    actions: dict[str, Any] = {"deep": call}
    for _ in range(2000):
        actions = {"s": {"type": "Scope", "actions": actions}}
    actions["if"] = {"type": "If", "actions": {"a": call}, "else": {"actions": {"b": call}}}
    actions["switch"] = {
        "type": "Switch",
        "cases": {"one": {"case": 1, "actions": {"c": call}}},
        "default": {"actions": {"d": call}},
    }

    flow = parse_client_data(build_definition(actions=actions))

    assert [one.path for one in flow.child_calls[1:]] == [
        "if/a",
        "if/else/b",
        "switch/case:one/c",
        "switch/default/d",
    ]
    assert flow.child_calls[0].action == "deep"
    assert flow.children == {CHILD}
    assert flow.child_calls[0].raw_reference == CHILD.upper()


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("https://Api.Example.org/x", "api.example.org"),
        ("https://example.org:8443/@{variables('id')}", "example.org"),
        ("@{parameters('Url (cr_url)')}/x", None),
        ("https://@{variables('host')}/x", None),
        ("https://{host}/x", None),
        ("https://[bad/x", None),
        ("", None),
    ],
)
def test_literal_host_of_an_http_action_is_parsed(uri: str, host: str | None) -> None:
    action = {"type": "Http", "inputs": {"method": "post", "uri": uri}}

    (found,) = parse_client_data(build_definition(actions={"a": action})).http_actions

    assert (found.method, found.host, found.uri) == ("POST", host, uri)
    assert not uri or uri not in repr(found)


_V1_PATH = "/scopes/admin/environments/@{encodeURIComponent(items('x')?['a/b'])}/flows"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"host": {"operationId": "ListFlowsInEnvironment"}}, True),
        ({"host": {"operationId": "ListFlowsInEnvironment_V2"}}, False),
        ({"host": {"operationId": "AdminGetFlow"}}, False),
        ({"host": {}, "method": "get", "path": _V1_PATH}, True),
        ({"host": {}, "method": "get", "path": f"{_V1_PATH}/@{{variables('f')}}"}, False),
        ({"host": {}, "method": "post", "path": _V1_PATH}, False),
    ],
)
def test_list_flows_as_admin_v1_is_recognised(inputs: dict[str, Any], expected: bool) -> None:
    host = {"connectionName": "shared_flowmanagement_1", **inputs["host"]}
    action = {"type": "ApiConnection", "inputs": {**inputs, "host": host}}

    flow = parse_client_data(build_definition(actions={"a": action}))

    assert flow.uses_list_flows_as_admin_v1 is expected


def test_environment_variables_are_named() -> None:
    parameters = {
        "$connections": {"type": "Object", "defaultValue": {}},
        "Url (cr_url)": {"type": "String", "metadata": {"schemaName": "cr_url"}},
    }

    flow = parse_client_data(build_definition(parameters=parameters))

    assert flow.environment_variables == ("cr_url",)


def test_additions_of_the_platform_on_save_are_not_a_difference() -> None:
    written = build_client_data(actions={"a": {"type": "Compose", "inputs": "é"}})
    read = build_client_data(
        actions={
            "a": {
                "inputs": "é",
                "type": "Compose",
                "runAfter": {},
                "metadata": {"operationMetadataId": "1"},
            }
        },
        contentVersion="1.0.0.0",
        outputs={},
        metadata={"workflowEntityId": "x"},
    )

    assert is_same_definition(json.dumps(written), json.dumps(read, ensure_ascii=False, indent=2))


@pytest.mark.parametrize(
    "change",
    [
        {"actions": {"a": {"type": "Compose", "inputs": 2}}},
        {"actions": {"a": {"type": "Compose", "inputs": True}}},
        {"actions": {"a": {"type": "Compose", "inputs": 1, "runAfter": {"b": ["Failed"]}}}},
        {"actions": {}},
        {"triggers": {}},
    ],
)
def test_a_change_of_meaning_is_a_difference(change: dict[str, Any]) -> None:
    written = build_client_data(actions={"a": {"type": "Compose", "inputs": 1}})
    read = build_client_data(**{"actions": {"a": {"type": "Compose", "inputs": 1}}, **change})

    assert not is_same_definition(json.dumps(written), json.dumps(read))


def test_text_that_is_not_json_equals_only_itself() -> None:
    assert is_same_definition("{", "{")
    assert not is_same_definition("{", "[")

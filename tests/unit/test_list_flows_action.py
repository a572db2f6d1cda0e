import json
from typing import Any

import pytest

from shared.domain.conversions.list_flows_action import convert_list_flows
from shared.domain.definitions.flow_definition import parse_client_data

_LIST = {
    "type": "OpenApiConnection",
    "inputs": {
        "host": {
            "apiId": "/providers/Microsoft.PowerApps/apis/shared_flowmanagement",
            "connectionName": "shared_flowmanagement",
            "operationId": "ListFlowsInEnvironment",
        },
        "parameters": {"environmentName": "@parameters('Environment')"},
    },
}
_FLOWS = "@outputs('List')?['body/value']"


def _build_flow(**actions: Any) -> str:
    definition = {
        "triggers": {"manual": {"type": "Recurrence"}},
        "actions": {"List": json.loads(json.dumps(_LIST)), **actions},
    }
    return json.dumps({"properties": {"definition": definition}, "schemaVersion": "1.0.0.0"})


def _build_loop(inside: object, over: str = _FLOWS) -> dict[str, object]:
    actions = {"Use": {"type": "Compose", "inputs": inside}}
    return {"type": "Foreach", "foreach": over, "actions": actions}


def _build_filter(where: str, source: str = _FLOWS) -> dict[str, object]:
    return {"type": "Query", "inputs": {"from": source, "where": where}}


@pytest.mark.parametrize(
    "actions",
    [
        {},
        {"Loop": _build_loop("@items('Loop')?['properties/displayName']")},
        {"Loop": _build_loop("@item()?['properties']?['state']")},
        {"Loop": _build_loop("@items('Loop')?['name']", "@body('List')?['value']")},
        {"Filter": _build_filter("@equals(item()?['name'], 'x')")},
        {"Count": {"type": "Compose", "inputs": "@length(body('List')?['value'])"}},
        {"First": {"type": "Compose", "inputs": "@{first(body('List')?['value'])?['name']}"}},
        {"Status": {"type": "Compose", "inputs": "@outputs('List')?['statusCode']"}},
        {"Other": {"type": "Compose", "inputs": "@body('Another')?['definitionSummary']"}},
        {
            "Filter": _build_filter("@not(equals(item()?['properties/state'], 'Stopped'))"),
            "Loop": _build_loop("@items('Loop')?['name']", "@body('Filter')"),
        },
    ],
)
def test_action_is_converted_if_v2_returns_every_member_that_is_read(actions: Any) -> None:
    before = _build_flow(**actions)

    after = convert_list_flows(before)

    assert after.obstacles == ()
    assert not parse_client_data(after.client_data).uses_list_flows_as_admin_v1
    changed = before.replace('"ListFlowsInEnvironment"', '"ListFlowsInEnvironment_V2"')
    assert json.loads(after.client_data) == json.loads(changed)
    assert convert_list_flows(after.client_data).client_data == after.client_data


@pytest.mark.parametrize(
    "actions",
    [
        {"Loop": _build_loop("@items('Loop')?['properties']?['connectionReferences']")},
        {"Loop": _build_loop("@items('Loop')?['properties/definitionSummary/actions']")},
        {"Loop": _build_loop("@item()?['properties']?['creator']?['objectId']")},
        {"Loop": _build_loop({"url": "@{items('Loop')?['properties']?['flowTriggerUri']}"})},
        {"Loop": _build_loop("@items('Loop')?['id']")},
        {"Loop": _build_loop("@items('Loop')?[variables('x')]")},
        {"Filter": _build_filter("@equals(item()?['properties/creator/userId'], 'x')")},
        {
            "Loop": _build_loop("@items('Loop')", _FLOWS),
            "Read": {"type": "Compose", "inputs": "@outputs('Use')?['properties']?['creator']"},
        },
        {
            "Loop": {
                "type": "Foreach",
                "foreach": _FLOWS,
                "actions": {
                    "Inner": _build_filter("@true", "@item()?['properties/connectionReferences']")
                },
            }
        },
        {
            "Filter": _build_filter("@true"),
            "Loop": _build_loop("@items('Loop')?['properties']?['creator']", "@body('Filter')"),
        },
        {
            "Parse": {"type": "ParseJson", "inputs": {"content": "@body('List')", "schema": {}}},
            "Loop": _build_loop(
                "@items('Loop')?['properties/creator']", "@body('Parse')?['value']"
            ),
        },
        {"Post": {"type": "Http", "inputs": {"body": "@body('List')"}}},
        {"Post": {"type": "Http", "inputs": {"body": "@{outputs('List')}"}}},
        {"Table": {"type": "Table", "inputs": {"from": _FLOWS, "format": "CSV"}}},
        {"Keep": {"type": "SetVariable", "inputs": {"name": "x", "value": _FLOWS}}},
        {"Look": {"type": "Compose", "inputs": "@actions('List')['outputs']['body']['x']"}},
    ],
)
def test_action_is_not_converted_if_v2_lacks_a_member_that_is_read(actions: Any) -> None:
    """A flow that passes on the whole response may read any member."""
    before = _build_flow(**actions)

    after = convert_list_flows(before)

    assert after.client_data == before
    assert after.obstacles != ()


def test_obstacle_names_the_action_and_the_expression() -> None:
    before = _build_flow(Loop=_build_loop("Owner: @{items('Loop')?['properties']?['creator']}"))

    after = convert_list_flows(before)

    (obstacle,) = after.obstacles
    assert "Use" in obstacle
    assert "items('Loop')?['properties']?['creator']" in obstacle


def test_results_of_a_scope_around_the_list_are_an_obstacle() -> None:
    """`result('Scope')` contains the responses of all actions in the scope, in the format of V1."""
    scope = {"type": "Scope", "actions": {"List": json.loads(json.dumps(_LIST))}}
    before = _build_flow(List=scope, Read={"type": "Compose", "inputs": "@result('List')"})

    after = convert_list_flows(before)

    assert after.obstacles != ()


def _build_older_action(path: str, **inputs: Any) -> dict[str, Any]:
    connection = "@parameters('$connections')['shared_flowmanagement_1']['connectionId']"
    return {
        "type": "ApiConnection",
        "metadata": {"flowSystemMetadata": {"swaggerOperationId": "ListFlowsInEnvironment"}},
        "inputs": {
            "host": {"connection": {"name": connection}},
            "method": "get",
            "path": path,
            "authentication": "@parameters('$authentication')",
            **inputs,
        },
        "runAfter": {},
    }


@pytest.mark.parametrize(
    ("environment", "parameter"),
    [
        ("@{encodeURIComponent(items('Each')?['name'])}", "@items('Each')?['name']"),
        ("@{encodeURIComponent('Default-1')}", "Default-1"),
        ("@{encodeUriComponent( 'O''Neil' )}", "O'Neil"),
        ("@{encodeURIComponent('@odd')}", "@'@odd'"),
        ("@{encodeURIComponent(concat(')}/', body('A/B')))}", "@concat(')}/', body('A/B'))"),
        ("Default%2D1", "Default-1"),
    ],
)
def test_older_connector_format_is_converted_to_the_newer_one(
    environment: str, parameter: str
) -> None:
    """The older format has a path where the newer one has an operation and parameters."""
    retries = {"type": "exponential", "count": 10, "interval": "PT10S"}
    older = _build_older_action(
        f"/scopes/admin/environments/{environment}/flows", retryPolicy=retries
    )
    before = _build_flow(List=older)

    after = convert_list_flows(before)

    assert after.obstacles == ()
    action = json.loads(after.client_data)["properties"]["definition"]["actions"]["List"]
    assert action["type"] == "OpenApiConnection"
    assert action["inputs"] == {
        "host": {
            "connectionName": "shared_flowmanagement_1",
            "operationId": "ListFlowsInEnvironment_V2",
            "apiId": "/providers/Microsoft.PowerApps/apis/shared_flowmanagement",
        },
        "parameters": {"environmentName": parameter},
        "authentication": "@parameters('$authentication')",
        "retryPolicy": retries,
    }
    assert not parse_client_data(after.client_data).uses_list_flows_as_admin_v1
    assert convert_list_flows(after.client_data).client_data == after.client_data


@pytest.mark.parametrize(
    "older",
    [
        _build_older_action("/scopes/admin/environments/x/flows", queries={"$top": 5}),
        _build_older_action("/scopes/admin/environments/@{items('Each')?['name']}/flows"),
        _build_older_action(
            "/scopes/admin/environments/@{encodeURIComponent('a')}@{encodeURIComponent('b')}/flows"
        ),
        _build_older_action("@concat('/scopes/admin/environments/', 'x', '/flows')"),
        _build_older_action("/scopes/admin/environments/x/flows") | {"type": "Http"},
    ],
)
def test_unusual_action_in_the_older_format_is_an_obstacle(older: Any) -> None:
    """Only a maker can convert such an action."""
    before = _build_flow(List=older)

    after = convert_list_flows(before)

    assert after.client_data == before
    assert "older connector format" in after.obstacles[0]


def test_unknown_parameter_is_an_obstacle() -> None:
    """V2 may treat an unknown parameter differently."""
    strange = json.loads(json.dumps(_LIST))
    strange["inputs"]["parameters"]["$filter"] = "x"
    before = _build_flow(List=strange)

    after = convert_list_flows(before)

    assert after.obstacles != ()

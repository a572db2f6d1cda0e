import json
import os
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.environments.flow_facts import (
    InvalidDefinitionError,
    parse_client_data,
    read_facts,
)


def build_properties(
    trigger: dict[str, Any], actions: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"definition": {"triggers": {"start": trigger}, "actions": actions or {}}}


CHILD = {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": "{ABC}"}}}


@pytest.mark.parametrize(
    "nest",
    [
        lambda actions: {"Scope": {"type": "Scope", "actions": actions}},
        lambda actions: {"If": {"type": "If", "actions": {}, "else": {"actions": actions}}},
        lambda actions: {"Switch": {"type": "Switch", "cases": {"A": {"actions": actions}}}},
        lambda actions: {"Switch": {"type": "Switch", "default": {"actions": actions}}},
    ],
)
def test_nested_actions_are_found(nest: Any) -> None:
    facts = read_facts(
        build_properties({"type": "Request", "kind": "Button"}, nest({"Run": CHILD}))
    )

    assert facts.children == ("abc",)


def test_trigger_url_depends_on_the_kind_of_the_trigger() -> None:
    http = read_facts(build_properties({"type": "Request", "kind": "Http"}))
    button = read_facts(build_properties({"type": "Request", "kind": "Button"}))

    assert (http.has_callback_url, button.has_callback_url) == (True, False)
    assert (http.is_premium, button.is_premium) == (True, False)


def test_teams_trigger_is_recognised_by_its_operation() -> None:
    """In some definitions, only the metadata contains the trigger's operation."""
    new = {"type": "OpenApiConnectionWebhook", "inputs": {"host": {"operationId": "x"}}}
    new["inputs"]["host"]["operationId"] = "WebhookKeywordTrigger"  # type: ignore[index]  # nested
    old = {
        "type": "Request",
        "kind": "ApiConnection",
        "metadata": {"flowSystemMetadata": {"swaggerOperationId": "OnMessageSelected"}},
    }

    assert read_facts(build_properties(new)).is_teams
    assert read_facts(build_properties(old)).is_teams


def test_list_flows_as_admin_v1_and_v2_are_distinguished() -> None:
    """Only V1 keeps a flow on Microsoft's key."""

    def has_list_action(operation: str) -> bool:
        action = {"type": "OpenApiConnection", "inputs": {"host": {"operationId": operation}}}
        trigger = {"type": "Recurrence"}
        return read_facts(build_properties(trigger, {"List": action})).lists_flows_as_admin_v1

    assert has_list_action("ListFlowsInEnvironment")
    assert not has_list_action("ListFlowsInEnvironment_V2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"properties":{"definition":{"triggers":{},"actions":{}}}}',
        '{"properties":1}',
    ],
)
def test_invalid_definition_is_rejected(text: str) -> None:
    with pytest.raises(InvalidDefinitionError):
        parse_client_data(text)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_clientdata_of_the_corpus_can_be_read() -> None:
    read = 0
    for path in Path(os.environ["FLOW_CORPUS"], "flows").rglob("*.json"):
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
        try:
            found = parse_client_data(text)
        except InvalidDefinitionError:
            continue
        assert json.loads(text)["properties"]["definition"] == found["definition"]
        assert read_facts(found).trigger_name
        read += 1

    assert read > 100

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]
#: The corpus labels its triggers with coarser words: (label, type) → category.
_CATEGORIES = {
    ("http_request", "Request"): "http",
    ("powerapps_v1", "Request"): "power_apps_v1",
    ("powerapps_v2", "Request"): "power_apps_v2",
    ("copilot_skills", "Request"): "copilot_skills",
    ("button", "Request"): "button",
    ("selected_item_hybrid", "Request"): "connector_request",
    ("recurrence", "Recurrence"): "recurrence",
    ("connector_trigger", "OpenApiConnection"): "connector_polling",
    ("connector_trigger", "ApiConnection"): "connector_polling",
    ("connector_trigger", "OpenApiConnectionWebhook"): "connector_webhook",
    ("connector_trigger", "ApiConnectionWebhook"): "connector_webhook",
    ("connector_trigger", "ServiceProvider"): "service_provider",
}


def _locate_corpus() -> Path:
    return Path(os.environ["FLOW_CORPUS"])


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def inspected() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that the command prints for the corpus, by path and JSON pointer of the
    definition.
    """
    result = CliRunner().invoke(app, ["inspect", "-o", "json", str(_locate_corpus() / "flows")])
    assert result.exit_code == 0, result.stderr
    flows = json.loads(result.stdout)["items"]
    return {
        (Path(one["path"]).relative_to(_locate_corpus()).as_posix(), one["definition_pointer"]): one
        for one in flows
    }


@pytest.fixture(scope="module")
def labels() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the labels of the corpus, by path and JSON pointer of the definition."""
    rows = _read_lines(_locate_corpus() / "flows" / "labels.jsonl")
    return {(row["path"], row["definition_pointer"]): row for row in rows}


def test_inspect_finds_every_definition_with_its_id(
    inspected: dict[tuple[str, str], dict[str, Any]],
    labels: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert len(inspected) > 300
    assert {key: one["workflow_id"] for key, one in inspected.items()} == {
        key: label["workflow_id"] for key, label in labels.items()
    }


def test_triggers_and_categories_match_the_labels(
    inspected: dict[tuple[str, str], dict[str, Any]],
    labels: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for key, label in labels.items():
        assert inspected[key]["triggers"] == [
            {
                "name": one["name"],
                "type": one["type"],
                "kind": one["kind"],
                "connector": one["connector"],
                "operation_id": one["operationId"],
                "category": _CATEGORIES[one["label"], one["type"]],
            }
            for one in label["triggers"]
        ], key


def test_children_and_http_actions_match_the_labels(
    inspected: dict[tuple[str, str], dict[str, Any]],
    labels: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for key, label in labels.items():
        found = inspected[key]
        assert _list_values(found["children"], "action", "workflowReferenceName") == _list_values(
            label["children"], "action", "workflowReferenceName"
        ), key
        assert _list_values(found["http_actions"], "action", "method", "host") == _list_values(
            label["http_actions"], "action", "method", "host"
        ), key


def _list_values(rows: list[dict[str, Any]], *members: str) -> list[list[str]]:
    return sorted([str(row[member]) for member in members] for row in rows)


_BY_RULE: dict[str, set[bool | str]] = {
    "no": {False},
    "not_applicable(logic app)": {False},
    "direct:http": {True},
    # A file alone does not say whether its flow is in a solution.
    "no:powerapps_v1_in_solution": {False, "unknown"},
    "direct:powerapps_v1_nonsolution": {True, "unknown"},
}
#: The labels apply the rule of 2024, which did not know this action yet
#: (platform.md#flows-that-stay).
_SINCE_2025 = {"list_flows_as_admin_v1", "parent_of_microsoft_key_flow"}


def test_verdict_follows_the_documented_rule(
    inspected: dict[tuple[str, str], dict[str, Any]],
    labels: dict[tuple[str, str], dict[str, Any]],
) -> None:
    """The labels do not know the rules that Microsoft added in 2025."""
    for key, label in labels.items():
        found = inspected[key]
        if not _SINCE_2025.intersection(found["microsoft_key_reasons"]):
            assert found["stays_on_microsoft_key"] in _BY_RULE[label["doc_rule"]], key

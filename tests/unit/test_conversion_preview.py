import json
import os
from pathlib import Path

import pytest

from cmkflow.flow_files import read_flow_files
from shared.domain.conversions.conversion import ConversionKind
from shared.domain.conversions.preview import (
    LONGEST_DIFFERENCE,
    build_unified_diff,
    convert_definition,
    list_possible_conversions,
    preview_conversion,
)
from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.flow_definition import parse_client_data
from tests.fakes.definition_builder import (
    build_client_data,
    build_connector_action,
    build_http_action,
    build_http_trigger,
    build_request_trigger,
)

#: A text in the form of a signature that is none.
_SIGNATURE = "q7Zk3Xw9Lm2Rt5Vb8Nc1Pd4Fg6Hj0Ks-Ty_Ue2Wi4Oz0"


def test_preview_shows_old_and_new_lines_without_signatures() -> None:
    """The lines around a change may contain trigger URLs."""
    action = build_http_action(f"https://x/workflows/{'0' * 32}?sp=%2F&sig={_SIGNATURE}")
    text = build_client_data("a", build_request_trigger("PowerApp"), {"Post": action})

    shown = preview_conversion(text, [ConversionKind.POWER_APPS_TRIGGER])

    assert '-      "kind": "PowerApp",' in shown.diff
    assert '+      "kind": "PowerAppV2",' in shown.diff
    assert _SIGNATURE not in str(shown)


def test_impossible_conversion_returns_its_obstacle() -> None:
    action = build_connector_action("shared_teams", "PostMessage")
    action["inputs"]["parameters"] = {"body": "@triggerBody()"}
    text = build_client_data("a", build_request_trigger("PowerApp"), {"Post": action})

    shown = preview_conversion(text, [ConversionKind.POWER_APPS_TRIGGER])

    assert (shown.diff, len(shown.obstacles)) == ("", 1)


def test_deeply_nested_definition_is_an_obstacle() -> None:
    """The app can read such a definition, but cannot write it."""
    text = build_client_data(
        "a", build_request_trigger("PowerApp"), {"Scope": {"type": "Scope", "actions": {}}}
    )
    deep = '{"S": {"type": "Scope", "actions": ' * 2000 + "{}" + "}}" * 2000

    shown = preview_conversion(
        text.replace('"actions": {}', f'"actions": {deep}'), [ConversionKind.POWER_APPS_TRIGGER]
    )

    assert shown.obstacles == ("Its actions are nested too deeply for the app to change them.",)


def test_both_edits_of_a_flow_are_proposed_together() -> None:
    """A flow with both causes would stay on Microsoft's key after only one edit."""
    actions = {"List": build_connector_action("shared_flowmanagement", "ListFlowsInEnvironment")}
    text = build_client_data("a", build_request_trigger("PowerApp"), actions)

    edits = list_possible_conversions(parse_client_data(text), in_solution=False)

    assert edits == (ConversionKind.POWER_APPS_TRIGGER, ConversionKind.LIST_FLOWS_ACTION)
    shown = preview_conversion(text, edits).diff
    assert "PowerAppV2" in shown
    assert "ListFlowsInEnvironment_V2" in shown
    both = parse_client_data(convert_definition(text, edits).client_data)
    assert list_possible_conversions(both, in_solution=False) == ()


@pytest.mark.parametrize(
    ("trigger", "in_solution"),
    [(build_http_trigger(), False), (build_request_trigger("PowerApp"), True)],
)
def test_flow_that_needs_no_edit_gets_no_proposal(
    trigger: dict[str, object], in_solution: bool
) -> None:
    """The app copies an HTTP flow. The platform moves a Power Apps flow that is in a solution."""
    text = build_client_data("a", trigger, {})

    edits = list_possible_conversions(parse_client_data(text), in_solution=in_solution)

    assert edits == ()


def test_long_difference_is_cut_with_a_note() -> None:
    """A stored row has a size limit."""
    old = {f"A{n}": build_http_action(f"https://old/{n}") for n in range(400)}
    new = {f"A{n}": build_http_action(f"https://new/{n}") for n in range(400)}

    text = build_unified_diff(
        build_client_data("a", build_http_trigger(), old),
        build_client_data("a", build_http_trigger(), new),
    )

    assert len(text) < LONGEST_DIFFERENCE + 100
    assert "more lines are not shown" in text.splitlines()[-1]


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_real_flows_are_converted_completely_or_not_at_all() -> None:
    files = read_flow_files([Path(os.environ["FLOW_CORPUS"]) / "flows"])
    texts = [json.dumps(file.flow.resource) for file in files if file.flow]

    edits = {
        text: list_possible_conversions(parse_client_data(text), in_solution=False)
        for text in dict.fromkeys(texts)
    }

    wanted = {text: some for text, some in edits.items() if some}
    assert {edit for some in wanted.values() for edit in some} == set(ConversionKind)
    converted = {text: convert_definition(text, some) for text, some in wanted.items()}
    for text, one in converted.items():
        if one.obstacles:
            assert one.client_data == text
            continue
        after = parse_client_data(one.client_data)
        assert list_possible_conversions(after, in_solution=False) == ()
        assert (
            convert_definition(one.client_data, list(ConversionKind)).client_data == one.client_data
        )
        assert _remove_edits(one.client_data) == _remove_edits(text)
    assert sum(not one.obstacles for one in converted.values()) >= len(converted) // 2


def _remove_edits(text: str) -> object:
    """Return the flow without the parts that a conversion may change."""
    document = json.loads(text.replace("ListFlowsInEnvironment_V2", "ListFlowsInEnvironment"))
    definition = document["properties"]["definition"]
    del definition["triggers"]
    for step in walk_actions(definition):
        if step.name == "List_Flows_as_Admin":
            assert isinstance(step.raw, dict)
            del step.raw["type"], step.raw["inputs"]
    plain = json.dumps(document, sort_keys=True)
    for new, old in (
        ("['text']", "['EnvironmentUniqueName_Value']"),
        ("['text_1']", "['RegionSubdomain_Value']"),
    ):
        plain = plain.replace(f"triggerBody(){old}", f"triggerBody(){new}")
    return plain

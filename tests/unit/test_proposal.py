"""Unit tests of what a plan shows of a conversion, also over flows nobody here wrote."""

import json
import os
from pathlib import Path

import pytest

from shared.adapters.flow_files import read_flow_files
from shared.domain.conversion import Edit
from shared.domain.flow_definition import parse_client_data
from shared.domain.proposal import LONGEST_DIFFERENCE, convert, difference, propose
from shared.domain.trigger_kinds import TriggerCategory
from tests.twins.definition_builder import (
    client_data,
    connector_action,
    http_action,
    http_trigger,
    request_trigger,
)

#: As a signature looks, and of nothing.
_SIGNATURE = "q7Zk3Xw9Lm2Rt5Vb8Nc1Pd4Fg6Hj0Ks-Ty_Ue2Wi4Oz0"


def test_a_proposal_shows_old_and_new_without_signatures() -> None:
    """The lines around a change may hold a trigger URL."""
    action = http_action(f"https://x/workflows/{'0' * 32}?sp=%2F&sig={_SIGNATURE}")
    text = client_data("a", request_trigger("PowerApp"), {"Post": action})

    shown = propose(text, in_solution=False)

    assert shown is not None
    assert '-      "kind": "PowerApp",' in shown.difference
    assert '+      "kind": "PowerAppV2",' in shown.difference
    assert _SIGNATURE not in str(shown)


def test_a_proposal_that_cannot_be_made_says_why_instead() -> None:
    """Half a conversion is none."""
    action = connector_action("shared_teams", "PostMessage")
    action["inputs"]["parameters"] = {"body": "@triggerBody()"}
    text = client_data("a", request_trigger("PowerApp"), {"Post": action})

    shown = propose(text, in_solution=False)

    assert shown is not None
    assert (shown.difference, len(shown.obstacles)) == ("", 1)


def test_both_edits_of_a_flow_are_proposed_together() -> None:
    """One edit alone would leave it where it is."""
    actions = {"List": connector_action("shared_flowmanagement", "ListFlowsInEnvironment")}
    text = client_data("a", request_trigger("PowerApp"), actions)

    proposal = propose(text, in_solution=False)

    assert proposal is not None
    assert proposal.edits == (Edit.POWER_APPS_TRIGGER, Edit.LIST_FLOWS_ACTION)
    both = parse_client_data(convert(text, proposal.edits).client_data)
    assert both.category is TriggerCategory.POWER_APPS_V2
    assert not both.uses_list_flows_as_admin_v1


@pytest.mark.parametrize(
    "text",
    [
        client_data("a", http_trigger(), {}),
        "no JSON",
    ],
)
def test_what_has_no_second_version_gets_no_proposal(text: str) -> None:
    """An HTTP trigger is copied; what cannot be read is said elsewhere."""
    proposal = propose(text, in_solution=False)

    assert proposal is None


def test_a_trigger_in_a_solution_needs_no_edit() -> None:
    """It moves to the new key by itself."""
    text = client_data("a", request_trigger("PowerApp"), {})

    proposal = propose(text, in_solution=True)

    assert proposal is None


def test_a_long_difference_is_cut_and_says_so() -> None:
    """A row of the store has an end."""
    old = {f"A{n}": http_action(f"https://old/{n}") for n in range(400)}
    new = {f"A{n}": http_action(f"https://new/{n}") for n in range(400)}

    text = difference(client_data("a", http_trigger(), old), client_data("a", http_trigger(), new))

    assert len(text) < LONGEST_DIFFERENCE + 100
    assert "more lines are left out" in text.splitlines()[-1]


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_conversions_of_real_flows_are_whole_or_not_made() -> None:
    """Each converts into V2, once, touching nothing but what is named; or says why it does not."""
    files = read_flow_files([Path(os.environ["FLOW_CORPUS"]) / "flows"])
    texts = [json.dumps(file.flow.resource) for file in files if file.flow]

    proposals = {text: propose(text, in_solution=False) for text in texts}

    made = {text: one for text, one in proposals.items() if one}
    edits = {edit for one in made.values() for edit in one.edits}
    assert edits == set(Edit)
    for text, one in made.items():
        converted = convert(text, one.edits)
        if one.obstacles:
            assert converted.client_data == text
            continue
        after = parse_client_data(converted.client_data)
        assert after.category is not TriggerCategory.POWER_APPS_V1
        assert not after.uses_list_flows_as_admin_v1
        assert convert(converted.client_data, one.edits).client_data == converted.client_data
        assert _without_edits(converted.client_data) == _without_edits(text)
    assert sum(not one.obstacles for one in made.values()) >= len(made) // 2


def _without_edits(text: str) -> object:
    """Return the flow without its trigger's inputs and without what may be renamed."""
    document = json.loads(text.replace("ListFlowsInEnvironment_V2", "ListFlowsInEnvironment"))
    definition = document["properties"]["definition"]
    del definition["triggers"]
    plain = json.dumps(document, sort_keys=True)
    for new, old in (
        ("['text']", "['EnvironmentUniqueName_Value']"),
        ("['text_1']", "['RegionSubdomain_Value']"),
    ):
        plain = plain.replace(f"triggerBody(){old}", f"triggerBody(){new}")
    return plain

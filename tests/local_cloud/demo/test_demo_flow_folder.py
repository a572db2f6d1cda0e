import json
import os
from pathlib import Path
from typing import Any

import pytest

from local_cloud.demo.definitions import build_http_trigger
from local_cloud.demo.flow_folder import read_folders

WORKFLOW_ID = "0f8c5c1e-3a55-4f0e-9a1d-6a1f0c1b2d3e"


def test_second_export_of_a_flow_goes_into_another_environment(tmp_path: Path) -> None:
    """An environment cannot contain the same flow twice."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / f"Orders-{WORKFLOW_ID.upper()}.json"
        file.write_text(json.dumps(_build_client_data()), encoding="utf-16")

    found = read_folders([tmp_path], hold_all=True)

    assert [list(each.flows) for each in found.environments] == [[WORKFLOW_ID], [WORKFLOW_ID]]
    assert len({each.id for each in found.environments}) == 2
    assert all(each.flows[WORKFLOW_ID]["heldBack"] for each in found.environments)


def test_connections_of_a_flow_are_created(tmp_path: Path) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(_build_client_data()))

    (environment,) = read_folders([tmp_path], hold_all=False).environments
    seed = environment.to_seed()

    (reference,) = seed["connectionReferences"]
    assert reference["connectionreferencelogicalname"] == "cr_mail"
    names = {connection["name"] for connection in seed["connections"]}
    assert names == {reference["connectionid"], "shared-teams-1"}
    assert {each["owner"] for each in seed["connections"]} == {seed["flows"][0]["owner"]}


def test_logic_app_becomes_an_azure_resource(tmp_path: Path) -> None:
    definition = _build_client_data()["properties"]["definition"]
    (tmp_path / "workflow.json").write_text(
        json.dumps({"definition": definition, "kind": "Stateful"})
    )

    found = read_folders([tmp_path], hold_all=True)

    assert found.flows == 0
    assert [app["type"] for app in found.logic_apps] == ["Microsoft.Logic/workflows"]


def test_file_without_a_flow_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text("{")

    found = read_folders([file], hold_all=False)

    assert found.environments == []
    assert [path for path, _ in found.refused] == [str(file)]


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_flow_of_the_corpus_can_be_seeded() -> None:
    found = read_folders([Path(os.environ["FLOW_CORPUS"]) / "flows"], hold_all=True)

    assert found.refused == []
    assert found.flows > 0
    assert found.logic_apps


def _build_client_data() -> dict[str, Any]:
    references = {
        "shared_office365": {
            "runtimeSource": "embedded",
            "connection": {"connectionReferenceLogicalName": "cr_mail"},
            "api": {"name": "shared_office365"},
        },
        "shared_teams": {
            "runtimeSource": "embedded",
            "connection": {"name": "shared-teams-1"},
            "api": {"name": "shared_teams"},
        },
    }
    definition = {"parameters": {}, "triggers": {"manual": build_http_trigger()}, "actions": {}}
    return {
        "properties": {"connectionReferences": references, "definition": definition},
        "schemaVersion": "1.0.0.0",
    }

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app

FLOW_ID = "0405e906-dae1-ea11-a813-000d3a56b702"
SIGNATURE = "s" * 43
URL = (
    "https://prod-65.westus.logic.azure.com:443/workflows/a16d54f586e52346f4beb14221f84c30"
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ft&sv=1.0&sig=" + SIGNATURE
)


def _build_client_data(kind: str = "Http", **actions: Any) -> str:
    trigger = {"type": "Request", "kind": kind}
    definition = {"triggers": {"manual": trigger}, "actions": actions}
    properties = {"connectionReferences": {}, "definition": definition}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"})


def _zip(**members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


def _inspect(*arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    result = CliRunner().invoke(app, ["inspect", "-o", "json", *map(str, arguments)])
    return (
        result.exit_code,
        json.loads(result.stdout)["items"],
        result.stderr,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_inspect_reads_every_encoding(tmp_path: Path, encoding: str) -> None:
    """Exports may be in UTF-8 or UTF-16, with or without a byte order mark."""
    file = tmp_path / f"Grüße-{FLOW_ID.upper()}.json"
    file.write_bytes(_build_client_data().encode(encoding))

    code, (flow,), _ = _inspect(file)

    assert code == 0
    assert (flow["workflow_id"], flow["name"]) == (FLOW_ID, "Grüße")
    assert flow["definition_pointer"] == "$.properties.definition"
    assert (flow["stays_on_microsoft_key"], flow["reason"]) == (True, "http_trigger")


def test_inspect_shows_actions_and_trigger_urls_without_signatures(tmp_path: Path) -> None:
    call = {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": FLOW_ID}}}
    post = {"type": "Http", "inputs": {"method": "POST", "uri": URL}}
    (tmp_path / "flow.json").write_text(
        _build_client_data(
            "Button", Scope={"type": "Scope", "actions": {"Call": call, "Post": post}}
        )
    )

    code, (flow,), _ = _inspect(tmp_path / "flow.json")
    table = CliRunner().invoke(app, ["inspect", str(tmp_path)], env={"COLUMNS": "300"})

    assert code == 0
    assert flow["children"] == [{"action": "Scope/Call", "workflowReferenceName": FLOW_ID}]
    assert flow["http_actions"] == [
        {"action": "Scope/Post", "method": "POST", "host": "prod-65.westus.logic.azure.com"}
    ]
    assert flow["trigger_urls"] == [
        {
            "trigger_url_id": "a16d54f586e52346f4beb14221f84c30",
            "host": "prod-65.westus.logic.azure.com",
            "form": "classic",
        }
    ]
    assert flow["stays_on_microsoft_key"] == "unknown"
    assert "a16d54f586e52346f4beb14221f84c30" in table.stdout
    assert SIGNATURE not in table.stdout + json.dumps(flow)


def test_power_apps_v1_flow_migrates_only_if_its_file_is_in_a_solution(tmp_path: Path) -> None:
    """Whether such a flow stays depends on its solution, which a single file does not show."""
    solution = _zip(
        solution_DOT_xml="<x/>",
        customizations_DOT_xml="<x/>",
        **{f"Workflows__App-{FLOW_ID}_DOT_json": _build_client_data("PowerApp")},
    )
    (tmp_path / "outer.zip").write_bytes(_zip(inner_DOT_zip=solution))
    (tmp_path / "lone.json").write_text(_build_client_data("PowerApp"))

    code, flows, _ = _inspect(tmp_path)

    assert code == 0
    assert {
        flow["path"].removeprefix(f"{tmp_path}/"): flow["stays_on_microsoft_key"] for flow in flows
    } == {
        "lone.json": "unknown",
        f"outer.zip!/inner.zip!/Workflows/App-{FLOW_ID}.json": False,
    }


def test_unpacked_solution_is_recognised(tmp_path: Path) -> None:
    """An unpacked solution has Solution.xml in its folder Other."""
    (tmp_path / "Other").mkdir()
    (tmp_path / "Other" / "Solution.xml").write_text("<x/>")
    (tmp_path / "Workflows").mkdir()
    (tmp_path / "Workflows" / "App.json").write_text(_build_client_data("PowerApp"))

    _, (flow,), _ = _inspect(tmp_path)

    assert flow["stays_on_microsoft_key"] is False


def test_parent_stays_on_microsoft_key_with_a_child_in_another_file(tmp_path: Path) -> None:
    call = {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": FLOW_ID}}}
    (tmp_path / "Parent.json").write_text(_build_client_data("Button", Run=call))
    (tmp_path / f"Child-{FLOW_ID}.json").write_text(_build_client_data("Http"))

    _, flows, _ = _inspect(tmp_path)

    assert {flow["name"]: flow["reason"] for flow in flows} == {
        "Child": "http_trigger",
        "Parent": "parent_of_microsoft_key_flow",
    }


def test_inspect_finds_each_flow_of_a_document(tmp_path: Path) -> None:
    row = {"workflowid": FLOW_ID, "name": "Row", "clientdata": _build_client_data()}
    definition = json.loads(_build_client_data())["properties"]
    resource = {"type": "Microsoft.Logic/workflows", "name": "app", "properties": definition}
    (tmp_path / "rows.json").write_text(json.dumps({"value": [{"clientdata": "<xml/>"}, row]}))
    (tmp_path / "template.json").write_text(json.dumps({"resources": [{"type": "x"}, resource]}))
    (tmp_path / "other.json").write_text('{"not": "a flow"}')

    code, flows, _ = _inspect(tmp_path)

    assert code == 0
    assert [
        (flow["definition_pointer"], flow["name"], flow["stays_on_microsoft_key"]) for flow in flows
    ] == [
        ("$.value[1].clientdata.properties.definition", "Row", True),
        ("$.resources[1].properties.definition", "app", False),
    ]


def test_bad_files_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(_build_client_data())
    (tmp_path / "broken.json").write_text(f'{{"url": "{URL}"')
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "bytes.json").write_bytes(b'{"a": "\xff"}')
    package = {"Microsoft_DOT_Flow__flows__x__definition_DOT_json": "{}", "manifest_DOT_json": "{}"}
    (tmp_path / "package.zip").write_bytes(_zip(**package))

    code, flows, errors = _inspect(tmp_path, tmp_path / "missing.json")

    assert code == 1
    assert [flow["name"] for flow in flows] == ["good"]
    assert SIGNATURE not in errors
    for name in ("broken.json", "broken.zip", "bytes.json", "definition.json", "missing.json"):
        assert f"{name}: " in errors
    assert "Cannot read 5 files" in errors


def test_too_deeply_nested_archive_is_reported_and_not_unpacked(tmp_path: Path) -> None:
    data = _zip(flow_DOT_json=_build_client_data())
    for _ in range(6):
        data = _zip(inner_DOT_zip=data)
    (tmp_path / "deep.zip").write_bytes(data)

    code, flows, errors = _inspect(tmp_path)

    assert (code, flows) == (1, [])
    assert "too many nested archives" in errors

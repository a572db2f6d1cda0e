import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cmkflow.__main__ import app

FLOW_ID = "0405e906-dae1-ea11-a813-000d3a56b702"
BOT_ID = "1405e906-dae1-ea11-a813-000d3a56b702"
#: The file of a desktop flow, which does not name its kind (platform.md#desktop-flows).
BOT = '{"schemaVersion": "ROBIN_20220819", "properties": {"definition": {"package": "UEsD"}}}'
XML = (
    f'<Workflow WorkflowId="{{{FLOW_ID}}}" Name="Book"><Category>5</Category></Workflow>'
    f'<Workflow WorkflowId="{{{BOT_ID}}}" Name="Bot">\n<Category>6</Category></Workflow>'
)


def build_cloud_flow(**actions: Any) -> str:
    trigger = {"type": "Request", "kind": "Http"}
    definition = {"triggers": {"manual": trigger}, "actions": actions}
    properties = {"connectionReferences": {}, "definition": definition}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"})


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "300"})


def test_desktop_flows_of_a_solution_are_reported_and_skipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("solution.xml", "<x/>")
        packed.writestr("customizations.xml", f"<Workflows>{XML}</Workflows>")
        packed.writestr(f"Workflows/Book-{FLOW_ID.upper()}.json", build_cloud_flow())
        packed.writestr(f"Workflows/Bot-{BOT_ID.upper()}.json", BOT)
    folder = tmp_path / "Workflows"
    folder.mkdir()
    (folder / f"Bot-{BOT_ID}.json").write_text(build_cloud_flow())  # the XML counts
    (folder / f"Bot-{BOT_ID}.json.data.xml").write_text(XML[XML.index("</Workflow>") + 11 :])
    (folder / "Riddle.json").write_text(BOT)

    result = inspect(tmp_path)

    assert result.exit_code == 0, result.stderr
    assert f"packed.zip!/Workflows/Bot-{BOT_ID.upper()}.json: skipped: a desktop" in result.stderr
    assert f"Workflows/Bot-{BOT_ID}.json: skipped: a desktop flow" in result.stderr
    assert "Riddle.json: skipped: not a cloud flow; possibly a desktop flow" in result.stderr
    assert "1 flow: 1 stays" in result.stderr
    assert "3 files of other types skipped" in result.stderr


@pytest.mark.parametrize("is_named", [True, False])
def test_inspect_opens_regular_files_only(tmp_path: Path, *, is_named: bool) -> None:
    """A pipe without a writer would block the command."""
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "good.json").write_text(build_cloud_flow())
    paths = sorted(tmp_path.iterdir()) if is_named else [tmp_path]

    result = inspect(*paths, "/dev/tty", "/dev/null")

    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert f"{pipe}: not a regular file" in result.stderr
    assert "/dev/null: not a regular file" in result.stderr
    assert "gone.json: No such file" in result.stderr
    assert "loop.json: Too many levels of symbolic links" in result.stderr
    assert "1 flow: 1 stays" in result.stderr


def test_file_name_that_is_not_utf8_is_shown_with_replacement_characters(tmp_path: Path) -> None:
    """A file name may contain any byte."""
    base = os.fsencode(tmp_path)
    for name, text in ((b"Gr\xfc\xdfe.json", build_cloud_flow()), (b"\xff.json", "{")):
        with open(base + b"/" + name, "w") as file:  # noqa: PTH123 -- a Path is text
            file.write(text)

    result = inspect(tmp_path)
    as_json = inspect(tmp_path, "-o", "json")

    assert "Gr��e" in result.stdout
    assert "�.json: not JSON" in result.stderr
    assert json.loads(as_json.stdout)["items"][0]["name"] == "Gr��e"


def test_lone_surrogate_in_a_name_becomes_a_replacement_character(tmp_path: Path) -> None:
    """JSON may contain half of a surrogate pair, which cannot be printed in UTF-8."""
    post = {"type": "Http", "inputs": {"method": "POST", "uri": "https://a.example/\ud83d"}}
    document = json.loads(build_cloud_flow(**{"Post\udc00": post}))
    document["properties"]["displayName"] = "Orders \ud83d"
    (tmp_path / "flow.json").write_text(json.dumps(document))

    result = inspect(tmp_path, "-o", "json")

    (flow,) = json.loads(result.stdout)["items"]
    assert (flow["name"], flow["http_actions"][0]["action"]) == ("Orders �", "Post�")
    assert "Orders �" in inspect(tmp_path).stdout


@pytest.mark.parametrize(("depth", "is_read"), [(400, True), (100_000, False)])
def test_deeply_nested_scopes_are_read_or_reported(
    tmp_path: Path, depth: int, is_read: bool
) -> None:
    head, tail = build_cloud_flow(Last={"type": "Http"}).split('{"Last"')
    scopes = "".join(f'{{"S{n}": {{"type": "Scope", "actions": ' for n in range(depth))
    text = f'{head}{scopes}{{"Last"{tail[:19]}{"}}" * depth}{tail[19:]}'
    (tmp_path / "deep.json").write_text(text)
    (tmp_path / "good.json").write_text(build_cloud_flow())

    result = inspect(tmp_path, "-o", "json")

    flows = {one["name"]: one for one in json.loads(result.stdout)["items"]}
    assert ("deep" in flows, result.exit_code) == (is_read, int(not is_read))
    assert "good" in flows
    if is_read:
        assert flows["deep"]["http_actions"][0]["action"].count("/") == depth
    else:
        assert "deep.json: the JSON nests too deeply" in result.stderr


def test_folder_without_permission_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)

    result = inspect(tmp_path)

    assert result.exit_code == 1
    assert "closed: Permission denied" in result.stderr


def test_logic_app_is_reported_as_a_logic_app(tmp_path: Path) -> None:
    """No Power Platform key protects a Logic App."""
    definition = json.loads(build_cloud_flow())["properties"]["definition"]
    definition |= {"$schema": "https://schema/workflowdefinition.json#", "parameters": {}}
    (tmp_path / "app.json").write_text(json.dumps({"definition": definition, "parameters": {}}))

    result = inspect(tmp_path)

    assert "It is a Logic App, which no Power Platform key protects" in result.stdout
    assert "1 flow: 1 has no key." in result.stderr


def test_json_with_a_line_break_in_a_string_is_read(tmp_path: Path) -> None:
    """Resource Manager accepts such JSON, and people write long texts this way."""
    text = build_cloud_flow(
        Post={"type": "Http", "inputs": {"uri": "https://a.example/", "body": "a|b"}}
    )
    (tmp_path / "flow.json").write_text(text.replace("a|b", "a\n\tb"))

    result = inspect(tmp_path)

    assert (result.exit_code, len(result.stderr.splitlines())) == (0, 1)
    assert "a.example" in result.stdout


@pytest.mark.parametrize(
    "option",
    [
        (),
        (
            "-o",
            "json",
        ),
    ],
)
def test_folder_without_cloud_flows_is_reported(tmp_path: Path, option: tuple[str, ...]) -> None:
    """ "0 flows stay" would look like a good result."""
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "Workflows").mkdir()
    (tmp_path / "Workflows" / "Riddle.json").write_text(BOT)

    result = inspect(tmp_path, *option)

    assert result.exit_code == 3
    assert f"No flows found in {tmp_path}." in result.stderr
    assert " stay" not in result.stdout


def build_archive(members: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return content.getvalue()


def build_large_archive() -> bytes:
    """Return a small archive whose inner archives contain 480 MB."""
    inner = build_archive({"a.json": " " * (60 << 20) + "{}"})
    return build_archive({"0.json": build_cloud_flow(), **{f"{n}.zip": inner for n in range(1, 9)}})


def build_archive_of_many_entries() -> bytes:
    """Return a small archive whose inner archives contain 147,000 entries."""
    inner = build_archive({f"{n}.txt": "" for n in range(1500)})
    return build_archive(
        {"0.json": build_cloud_flow(), **{f"{n}.zip": inner for n in range(1, 99)}}
    )


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (build_large_archive, "it unpacks to more than 128 MB"),
        (build_archive_of_many_entries, "it has more than 20,000 entries"),
    ],
)
def test_archive_that_unpacks_to_too_much_is_reported_on_one_line(
    tmp_path: Path, build: Callable[[], bytes], said: str
) -> None:
    (tmp_path / "bomb.zip").write_bytes(build())
    (tmp_path / "good.json").write_text(build_cloud_flow())

    result = inspect(tmp_path)

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        f"{tmp_path / 'bomb.zip'}: {said}: unpack it and pass its parts",
        "Cannot read 1 file.",
    ]
    assert "2 flows: 2 stay" in result.stderr


def test_file_of_more_than_64_mb_is_not_read(tmp_path: Path) -> None:
    """The test's file is sparse and takes no space on the disk."""
    with (tmp_path / "flow.json").open("wb") as file:
        file.truncate(65 << 20)

    result = inspect(tmp_path)

    assert result.exit_code == 1
    assert "flow.json: larger than 64 MB" in result.stderr


def test_xml_of_unclosed_workflow_elements_is_read_in_linear_time(tmp_path: Path) -> None:
    """A search for the end of each of 65,536 unclosed elements would take hours."""
    xml = f'<Workflow WorkflowId="{{{FLOW_ID}}}">' * (4 << 20 >> 6)
    members = {"solution.xml": "<x/>", "customizations.xml": xml + XML}
    data = build_archive({**members, f"Workflows/Bot-{BOT_ID}.json": BOT})
    (tmp_path / "packed.zip").write_bytes(data)

    result = inspect(tmp_path)

    assert f"Bot-{BOT_ID}.json: skipped: a desktop flow" in result.stderr


@pytest.mark.parametrize("is_flat", [True, False])
def test_nested_long_names_are_reported(tmp_path: Path, is_flat: bool) -> None:
    """The full name of an action contains those of its scopes."""
    name = "N" * (1_000_000 if is_flat else 2_000)
    inner: dict[str, Any] = {f"A{n}": {"type": "Http"} for n in range(20_000)}
    for depth in range(1 if is_flat else 1_000):
        inner = {f"{name}{depth}": {"type": "Scope", "actions": inner}}
    (tmp_path / "deep.json").write_text(build_cloud_flow(**inner))
    (tmp_path / "good.json").write_text(build_cloud_flow())

    result = inspect(tmp_path)

    assert "deep.json: the JSON nests members with long names too deeply" in result.stderr
    assert "1 flow: 1 stays" in result.stderr

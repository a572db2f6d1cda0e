import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app

URL_ID = "a16d54f586e52346f4beb14221f84c30"
FLOW_ID = "0405e906-dae1-ea11-a813-000d3a56b702"
SIGNATURE = "s" * 43
OLD_HOST = "prod-65.westus.logic.azure.com"
HOST = "ac0f.01.environment.api.powerplatform.com"
PATH = f"/workflows/{URL_ID}/triggers/manual/paths/invoke"
QUERY = f"?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"
URL = f"https://{HOST}:443/powerautomate/automations/direct{PATH}{QUERY}"


def _scan(*arguments: object, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    """Run the command with JSON output, and return its items and stderr. Fails if the output
    contains the signature of a URL.
    """
    result = CliRunner().invoke(app, ["caller", "scan", "-o", "json", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert SIGNATURE not in result.output
    return json.loads(result.stdout)["items"], result.stderr


def _write_ids(folder: Path, *ids: str) -> Path:
    file = folder / "ids.tsv"
    file.write_text("\n".join(ids))
    return file


@pytest.mark.parametrize(
    ("text", "shape", "host", "is_replaceable"),
    [
        (URL, "plain_url", HOST, True),
        (f"https://{OLD_HOST}:443{PATH}{QUERY}", "plain_url", OLD_HOST, True),
        (f"https://{HOST}{PATH}?api-version=1", "plain_url", HOST, True),
        (json.dumps(URL).replace("&", "\\u0026"), "json_escaped_url", HOST, True),
        (json.dumps(URL).replace("/", "\\/"), "json_escaped_url", HOST, True),
        (json.dumps(URL).replace("/", "\\u002F"), "json_escaped_url", HOST, True),
        (URL.replace("&", "&amp;"), "xml_escaped_url", HOST, True),
        (quote(URL, safe=""), "percent_encoded_url", HOST, True),
        (quote(quote(URL, safe=""), safe=""), "percent_encoded_url", HOST, True),
        (f"https://{quote(URL[8:], safe='')}", "partly_encoded_url", HOST, False),
        (f"https:{quote(URL[6:], safe='')}", "partly_encoded_url", HOST, False),
        (URL.replace("/triggers/", "/versions/0858/triggers/", 1), "version_url", HOST, False),
        (URL.replace(SIGNATURE, "@{variables('sig')}"), "plain_url", HOST, False),
        (f"host: {HOST}\npath: {PATH}{QUERY}", "path", None, False),
        (f"'{HOST}' + '{PATH.replace('/', '%2f')}'", "path", None, False),
        (f"{HOST}{PATH}{QUERY}", "path", HOST, False),
        (URL.replace("/", "&#x2F;"), "path", HOST, False),
    ],
)
def test_scan_recognises_every_shape_of_a_trigger_url(
    tmp_path: Path, text: str, shape: str, host: str | None, is_replaceable: bool
) -> None:
    (tmp_path / "settings.env").write_text(f"# comment\nURL={text}\n")

    ids = _write_ids(tmp_path, URL_ID)
    [found], _ = _scan(tmp_path / "settings.env")
    [known], _ = _scan(tmp_path / "settings.env", "--ids", ids)

    assert known == found
    assert (found["shape"], found["host"]) == (shape, host)
    assert (found["trigger_url_id"], found["workflow_id"]) == (URL_ID, None)
    assert found["is_replaceable"] is is_replaceable
    assert bool(found["manual_reason"]) is not is_replaceable
    assert found["is_broken"] is (host == OLD_HOST)


def test_trigger_url_in_the_query_of_another_is_not_replaceable(tmp_path: Path) -> None:
    outer = URL.replace(URL_ID, "b" * 32)
    (tmp_path / "a.txt").write_text(f"{outer}&next={quote(URL, safe='')}")

    [_, inner], _ = _scan(tmp_path)

    assert (inner["trigger_url_id"], inner["shape"]) == (URL_ID, "nested_url")
    assert not inner["is_replaceable"]


@pytest.mark.parametrize(
    "text",
    [
        f"https://{OLD_HOST}/workflows/{URL_ID}/runs/08/contents/TriggerInputs?sig={SIGNATURE}",
        f"https://{HOST}/workflows/{URL_ID}/triggers/manual/listCallbackUrl",
        f"id: {URL_ID}",
        f"sha256: {URL_ID}{URL_ID}",
    ],
)
def test_scan_reports_a_plain_id_only_with_the_ids_option(tmp_path: Path, text: str) -> None:
    """An id outside a trigger URL may be that of anything."""
    (tmp_path / "a.txt").write_text(text)

    nothing, _ = _scan(tmp_path / "a.txt")
    found, _ = _scan(tmp_path / "a.txt", "--ids", _write_ids(tmp_path, URL_ID))

    assert nothing == []
    assert {(one["shape"], one["is_replaceable"]) for one in found} == {("id", False)}


def test_workflow_id_is_replaceable_only_in_an_action_that_runs_the_flow(tmp_path: Path) -> None:
    """In any other place, the same id is only data."""
    call = json.dumps({"workflowReferenceName": FLOW_ID, "body": {"x": FLOW_ID.upper()}})
    (tmp_path / "flow.json").write_text(call)

    [child, other], _ = _scan(tmp_path, "--ids", _write_ids(tmp_path.parent, FLOW_ID))

    assert (child["shape"], child["workflow_id"], child["is_replaceable"]) == (
        *("child_flow", FLOW_ID),
        True,
    )
    assert (other["shape"], other["workflow_id"], other["is_replaceable"]) == (
        *("id", FLOW_ID),
        False,
    )


def test_workflow_id_without_dashes_is_reported_with_dashes(tmp_path: Path) -> None:
    """Without dashes, a workflow id looks like a trigger URL id."""
    (tmp_path / "a.txt").write_text(FLOW_ID.replace("-", ""))

    [found], _ = _scan(tmp_path / "a.txt", "--ids", _write_ids(tmp_path, FLOW_ID))

    assert (found["workflow_id"], found["trigger_url_id"]) == (FLOW_ID, None)


@pytest.mark.parametrize(
    ("encoding", "without_marker"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
    ],
)
def test_result_has_the_byte_offset_and_the_line(
    tmp_path: Path, encoding: str, without_marker: str
) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(f'"note": "Größe",\r\n"url": "{URL}"'.encode(encoding))

    [found], _ = _scan(tmp_path)

    assert found["offset"] == file.read_bytes().index("https".encode(without_marker))
    assert found["line"] == 2


def _zip(**members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


def test_scan_searches_archives_in_archives(tmp_path: Path) -> None:
    """A solution may contain canvas apps, which are archives too."""
    app_file = _zip(Connections__Connections_DOT_json=URL)
    solution = _zip(CanvasApps__shop_DOT_msapp=app_file, Workflows__a_DOT_json="\n" + URL)
    (tmp_path / "solution.zip").write_bytes(solution)

    found, _ = _scan(tmp_path)

    assert [(one["path"].removeprefix(f"{tmp_path}/"), one["line"]) for one in found] == [
        ("solution.zip!/CanvasApps/shop.msapp!/Connections/Connections.json", 1),
        ("solution.zip!/Workflows/a.json", 2),
    ]


def test_scan_lists_each_file_that_it_does_not_search(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(URL)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + URL.encode())
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7\n" + URL.encode())
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text(URL)
    (tmp_path / "loop").symlink_to(tmp_path)

    readable, said = _scan(tmp_path)
    (tmp_path / "d.zip").write_bytes(_zip(a=URL)[:-30])
    (tmp_path / "e.txt").symlink_to(tmp_path / "missing")
    partly, all_said = _scan(tmp_path, code=1)

    assert [one["path"] for one in readable] == [one["path"] for one in partly]
    assert said.splitlines() == [
        f"{tmp_path}/.git: not searched: version control",
        f"{tmp_path}/b.png: not searched: binary",
        f"{tmp_path}/c.pdf: not searched: binary",
        f"{tmp_path}/loop: not searched: a link to a folder",
        "1 caller in 1 of 1 file. Not searched: 4.",
    ]
    assert f"{tmp_path}/d.zip: not searched: the archive is damaged" in all_said
    assert f"{tmp_path}/e.txt: not searched: No such file or directory" in all_said


def test_scan_reports_encrypted_and_too_deeply_nested_archives(tmp_path: Path) -> None:
    nested = URL.encode()
    for _ in range(7):
        nested = _zip(a_DOT_zip=nested)
    encrypted = bytearray(_zip(a=URL))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "encrypted.zip").write_bytes(encrypted)
    (tmp_path / "nested.zip").write_bytes(nested)

    found, said = _scan(tmp_path, code=1)

    assert found == []
    assert "encrypted.zip: not searched: the archive is encrypted" in said
    assert "a.zip: not searched: too many nested archives" in said


@pytest.mark.parametrize(
    ("name", "text", "sought"),
    [
        ("flows.csv", f"id,name\n{FLOW_ID},Orders\n", {FLOW_ID}),
        ("flows.json", json.dumps({"items": [{"id": FLOW_ID, "name": "Orders"}]}), {FLOW_ID}),
        ("flows.tsv", f"{FLOW_ID}\tOrders\n", {FLOW_ID}),
        (
            "evidence.csv",
            f"original_url_id,copy_url_id,environment_id\n{URL_ID},{'c' * 32},{'d' * 32}\n",
            {URL_ID},
        ),
        (
            "inspect.json",
            json.dumps(
                {"items": [{"workflow_id": FLOW_ID, "trigger_urls": [{"trigger_url_id": URL_ID}]}]}
            ),
            {FLOW_ID, URL_ID},
        ),
        ("ids.json", json.dumps([URL_ID, FLOW_ID.upper()]), {FLOW_ID, URL_ID}),
    ],
)
def test_scan_reads_ids_from_the_output_of_other_commands(
    tmp_path: Path, name: str, text: str, sought: set[str]
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "a.txt").write_text(f"{URL_ID} {FLOW_ID} {'c' * 32} {'d' * 32}")

    found, _ = _scan(tmp_path / "a.txt", "--ids", tmp_path / name)

    assert {one["trigger_url_id"] or one["workflow_id"] for one in found} == sought


@pytest.mark.parametrize(
    "text", ["", "id,name\n1,Orders\n", f"job,run\nx,{FLOW_ID}", "{", "[]", "\0"]
)
def test_ids_file_without_ids_is_a_usage_error(tmp_path: Path, text: str) -> None:
    """Without an id, the search would find nothing."""
    (tmp_path / "ids").write_text(text)

    result = CliRunner().invoke(
        app, ["caller", "scan", str(tmp_path), "--ids", str(tmp_path / "ids")]
    )

    assert result.exit_code == 2
    assert not result.stdout


def test_table_and_csv_have_the_values_of_the_json_output(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"https://{OLD_HOST}{PATH}?sig={SIGNATURE}")

    def run(*options: str) -> str:
        result = CliRunner().invoke(app, ["caller", "scan", str(tmp_path), *options])
        assert result.exit_code == 0
        assert SIGNATURE not in result.output
        return result.stdout

    [row] = csv.DictReader(io.StringIO(run("-o", "csv")))

    assert row["trigger_url_id"] == URL_ID
    assert run("--query", "items[].line", "-o", "tsv") == "1\n"
    assert f"a.txt:1\t{URL_ID}\t{OLD_HOST}\tplain url\tno\tlogic.azure.com stopped" in run()


def test_scan_without_a_result_succeeds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing")

    result = CliRunner().invoke(app, ["caller", "scan", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 callers in 0 of 1 file.\n"

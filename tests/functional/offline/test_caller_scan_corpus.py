import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app
from shared.domain.trigger_urls.trigger_url import parse_trigger_url

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]


def _locate_corpus() -> Path:
    return Path(os.environ["FLOW_CORPUS"])


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _scan(*arguments: object) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["caller", "scan", "-o", "json", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "not searched" not in result.stderr
    assert "REDACTED" not in result.output
    items: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    return items


def test_scan_reports_exactly_the_trigger_urls_of_public_files() -> None:
    for file in _locate_corpus().rglob("url_shapes.jsonl"):
        shapes = _read_lines(file)
        by_line = {item["line"]: item for item in _scan(file)}

        assert len(shapes) > 5
        for number, shape in enumerate(shapes, 1):
            is_trigger_url = shape["expected"] == "trigger_url"
            parsed = parse_trigger_url(shape["url"])
            assert (number in by_line) == is_trigger_url == bool(parsed), shape["note"]
            if parsed:
                item = by_line[number]
                assert (item["trigger_url_id"], item["host"]) == (
                    parsed.trigger_url_id,
                    parsed.host,
                )
                assert item["is_replaceable"], shape["note"]
                assert item["is_broken"] == parsed.host.endswith(".logic.azure.com")


def test_callers_of_public_files_match_the_manifest() -> None:
    rows = _read_lines(_locate_corpus() / "callers" / "manifest.jsonl")
    found = _scan(_locate_corpus() / "callers")

    assert rows
    for row in rows:
        items = [item for item in found if item["path"] == str(_locate_corpus() / row["path"])]
        text = (_locate_corpus() / row["path"]).read_bytes()
        assert len(items) == row["n_urls"], row["path"]
        assert {item["host"] for item in items} == {one.split(":")[0] for one in row["hosts"]}
        for item in items:
            assert text[item["offset"] :].startswith(f"https://{item['host']}".encode())
            assert text[: item["offset"]].count(b"\n") + 1 == item["line"]


def test_scan_finds_every_known_flow_id_in_public_files(tmp_path: Path) -> None:
    labels = _read_lines(_locate_corpus() / "flows" / "labels.jsonl")
    known = {label["workflow_id"].lower() for label in labels if label["workflow_id"]}
    ids = tmp_path / "ids.tsv"
    ids.write_text("\n".join(sorted(known)))
    texts = {
        str(path): _decode(path.read_bytes()).lower()
        for path in (_locate_corpus() / "flows").rglob("*")
        if path.is_file()
    }

    found = _scan(_locate_corpus() / "flows", "--ids", ids)

    assert known
    assert {(item["path"], item["workflow_id"]) for item in found} == {
        (path, one) for path, text in texts.items() for one in known if one in text
    }
    assert {item["shape"] for item in found} == {"child_flow", "id"}


def _decode(data: bytes) -> str:
    is_wide = data[:2] in {b"\xff\xfe", b"\xfe\xff"}
    return data.decode("utf-16" if is_wide else "utf-8")

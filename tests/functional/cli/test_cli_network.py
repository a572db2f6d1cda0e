"""`cmkflow network`, which needs neither the app nor Azure."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app

WEST = "PowerPlatformPlex.WestEurope"


def a_file(path: Path, number: int, prefixes: Mapping[str, Sequence[str]]) -> str:
    """Write a list as it is downloaded, with its byte order mark; return where it lies."""
    values = [
        {"name": name, "properties": {"addressPrefixes": listed}}
        for name, listed in prefixes.items()
    ]
    document = {"changeNumber": number, "cloud": "Public", "values": values}
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    return str(path)


@pytest.fixture
def editions(tmp_path: Path) -> tuple[str, ...]:
    """Two lists, as options: a prefix more and a prefix less in Western Europe."""
    before = a_file(tmp_path / "370.json", 370, {WEST: ["10.0.0.0/24", "10.1.0.0/24"]})
    after = a_file(tmp_path / "371.json", 371, {WEST: ["10.0.0.0/24", "10.2.0.0/24"]})
    return "--from", before, "--to", after


def diff(*arguments: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of `cmkflow network diff`."""
    done = CliRunner().invoke(app, ["network", "diff", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_difference_of_two_lists_is_told_by_region(editions: tuple[str, ...]) -> None:
    """One object a line, for programs; a table with the numbers of both lists, for people."""
    _, lines, _ = diff(*editions, "--tag", "PowerPlatformPlex", "--json")
    _, shown, _ = diff(*editions)

    assert [json.loads(line) for line in lines.splitlines()] == [
        {
            "tag": "PowerPlatformPlex",
            "region": "WestEurope",
            "added": ["10.2.0.0/24"],
            "removed": ["10.1.0.0/24"],
        }
    ]
    assert "from list 370 to list 371: 1 added, 1 removed" in shown
    assert "10.2.0.0/24" in shown


def test_equal_lists_differ_in_nothing(editions: tuple[str, ...]) -> None:
    """No line at all; people are told so."""
    _, before, _, _ = editions
    same = ("--from", before, "--to", before)

    assert diff(*same, "--json") == (0, "", "")
    assert "nothing changed" in diff(*same)[1]


def test_what_cannot_be_compared_is_an_error_that_names_the_file(
    editions: tuple[str, ...], tmp_path: Path
) -> None:
    """A file that is not there, no JSON, no list, a prefix nobody can read; a tag in no list."""
    _, before, _, after = editions
    other = tmp_path / "other.json"

    for content in ("{", "{}", "[" * 100_000):
        other.write_text(content)
        code, output, error = diff("--from", before, "--to", str(other))
        assert (code, output, error.startswith(str(other))) == (1, "", True)
    code, _, error = diff("--from", before, "--to", str(tmp_path / "gone.json"))
    assert (code, "gone.json" in error) == (1, True)
    code, _, error = diff("--from", before, "--to", a_file(other, 372, {WEST: ["10.0.0.0/33"]}))
    assert (code, WEST in error) == (1, True)
    code, _, error = diff("--from", before, "--to", after, "--tag", "PowerPlatformFlex")
    assert (code, "PowerPlatformFlex" in error) == (1, True)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_a_tag_that_an_older_answer_of_the_api_lacks_is_added_as_it_is_published(
    tmp_path: Path,
) -> None:
    """A recording of the API against a file; what one region has more than a changed copy."""
    folder = Path(os.environ["FLOW_CORPUS"], "servicetags")
    [older] = folder.glob("arm_api_*.json")
    [newer] = folder.glob("ServiceTags_Public_*.json")
    document = json.loads(newer.read_bytes())
    published = {one["name"]: one["properties"]["addressPrefixes"] for one in document["values"]}

    _, output, _ = diff("--from", str(older), "--to", str(newer), "--json")
    added = {one["region"]: one["added"] for one in map(json.loads, output.splitlines())}

    assert added.pop("") == ["2603:1061:2004::/48"]  # wider than all of its regions
    assert {f"PowerPlatformPlex.{region}": listed for region, listed in added.items()} == {
        name: listed for name, listed in published.items() if name.startswith("PowerPlatformPlex.")
    }

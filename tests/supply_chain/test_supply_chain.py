"""Test what is delivered with the tools that `make supply-chain` installs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.documented_commands import ROOT
from tests.pins import read_requirements
from tests.supply_chain.secret_scan import find_new_texts, scan

FOLDER = Path(os.environ.get("SUPPLY_CHAIN", "")).absolute()
TOOLS = FOLDER / "tools" / "bin"
pytestmark = pytest.mark.skipif(
    "SUPPLY_CHAIN" not in os.environ, reason="needs SUPPLY_CHAIN: `make supply-chain`"
)
WORKFLOW = ROOT / "docs" / "github-actions.yml"
#: Exits with 1 if the file does not follow the schema of CycloneDX.
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(1 if error else 0)
"""


def run_tool(*command: str | Path) -> int:
    return subprocess.run([TOOLS / command[0], *command[1:]], check=False).returncode


def test_sbom_follows_the_schema_of_cyclonedx(tmp_path: Path) -> None:
    """The validator rejects a damaged copy, which shows that it finds errors."""
    damaged = json.loads((FOLDER / "sbom.json").read_text())
    del damaged["components"][0]["name"]
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))

    assert run_tool("python", "-c", VALIDATE, FOLDER / "sbom.json") == 0
    assert run_tool("python", "-c", VALIDATE, tmp_path / "damaged.json") == 1


def test_sbom_has_exactly_the_pinned_packages_of_the_app() -> None:
    text = (FOLDER / "sbom.json").read_text()
    sbom = json.loads(text)
    pins = read_requirements(ROOT / "requirements.txt").pins.values()

    components = {(one["name"].lower(), one["version"]) for one in sbom["components"]}
    assert components == {(pin.name.lower(), pin.version) for pin in pins}
    assert sbom["metadata"]["component"]["name"] == "cmkflow"
    assert str(ROOT) not in text


def test_secret_scan_finds_a_committed_private_key(tmp_path: Path) -> None:
    begin = "-----BEGIN RSA " + "PRIVATE KEY-----"
    (tmp_path / "key.pem").write_text(f"{begin}\nMIIB\n")
    (tmp_path / ".secrets.baseline").write_text(f'"{"0123456789abcdef" * 2}"\n')
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    found = scan(TOOLS / "detect-secrets", tmp_path)

    assert find_new_texts(found, {}) == ["key.pem:1: Private Key"]


def test_example_workflow_follows_the_schema_of_github(tmp_path: Path) -> None:
    """An unknown kind of step is rejected, which shows that the check finds errors."""
    damaged = tmp_path / "damaged.yml"
    damaged.write_text(WORKFLOW.read_text().replace("- run: make check", "- walk: make check"))
    check = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows")

    assert run_tool(*check, WORKFLOW) == 0
    assert run_tool(*check, damaged) == 1

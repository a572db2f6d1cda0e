import json
import re
from typing import Any

import pytest
import yaml

from tests.documented_commands import ROOT
from tests.supply_chain.licences import find_problems, format_table
from tests.supply_chain.secret_scan import BASELINE, find_new_texts

WORKFLOW = ROOT / "docs" / "github-actions.yml"


def build_sbom(*licences: dict[str, Any], name: str = "parcel") -> dict[str, Any]:
    return {"components": [{"name": name, "version": "1.2", "licenses": list(licences)}]}


@pytest.mark.parametrize(
    "licence",
    [
        {"license": {"id": "MIT"}},
        {"license": {"name": "License :: OSI Approved :: BSD License"}},
        {"expression": "(Apache-2.0 OR BSD-3-Clause) AND MIT"},
    ],
)
def test_allowed_licence_is_no_problem(licence: dict[str, Any]) -> None:
    assert find_problems(build_sbom(licence)) == []


@pytest.mark.parametrize(
    ("licence", "wrong"),
    [
        ({"license": {"id": "GPL-3.0-only"}}, "GPL-3.0-only"),
        ({"license": {"name": "Custom terms"}}, "Custom terms"),
        ({"expression": "MIT OR AGPL-3.0-only"}, "AGPL-3.0-only"),
        ({"expression": "GPL-2.0 WITH Classpath-exception-2.0"}, "Classpath-exception-2.0"),
    ],
)
def test_other_licence_is_a_problem(licence: dict[str, Any], wrong: str) -> None:
    """If a package offers a choice of licences, all of them must be allowed."""
    problems = find_problems(build_sbom({"license": {"id": "MIT"}}, licence))

    assert f"parcel 1.2: {wrong} is not allowed" in problems


def test_package_without_a_licence_is_a_problem_unless_a_person_has_read_it() -> None:
    assert find_problems(build_sbom()) == [
        "parcel 1.2 names no licence: read its LICENSE, add it to READ_IN_THE_WHEEL"
    ]
    assert find_problems(build_sbom(name="protobuf")) == []


def test_table_of_licences_has_one_row_for_each_package() -> None:
    licence = {"license": {"name": "License :: OSI Approved :: BSD License"}}

    assert format_table(build_sbom(licence)).splitlines()[2:] == ["| parcel | 1.2 | BSD License |"]


def test_new_text_is_reported_without_the_text() -> None:
    """A known text may move within its file, but not to another file."""
    text = {"type": "Secret Keyword", "hashed_secret": "a1", "line_number": 3}
    found = {"a.py": [{**text, "line_number": 9}], "b.py": [text]}

    assert find_new_texts(found, {"a.py": ["a1"]}) == ["b.py:3: Secret Keyword"]


def test_baseline_names_files_of_the_repository_only() -> None:
    baseline = json.loads(BASELINE.read_text())

    assert [name for name in baseline if not (ROOT / name).is_file()] == []
    hashes = [one for listed in baseline.values() for one in listed]
    assert all(re.fullmatch("[0-9a-f]{40}", one) for one in hashes)


def test_example_workflow_signs_in_without_a_secret() -> None:
    text = WORKFLOW.read_text()
    jobs = yaml.safe_load(text)["jobs"]

    assert "secrets." not in text
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == [
        "deploy"
    ]
    assert jobs["deploy"]["needs"] == "check"
    targets = re.findall(r"run: make ([\w-]+)", text)
    makefile = (ROOT / "Makefile").read_text()
    assert {"check", "supply-chain", "audit"} == set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_example_workflow_sets_only_parameters_of_the_template() -> None:
    """A variable that `infra/main.parameters.json` does not use would have no effect."""
    names = yaml.safe_load(WORKFLOW.read_text())["jobs"]["deploy"]["env"]
    parameters = (ROOT / "infra" / "main.parameters.json").read_text()

    used = {name for name in names if name.startswith("CMK_") or name in {"AZURE_ENV_NAME"}}
    assert {name for name in used if f"${{{name}" not in parameters} == set()

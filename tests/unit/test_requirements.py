"""`make demo` and `make test` install all that they import, in an environment with nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: They run in an environment of their own, where nothing of ours is; or are skipped without theirs.
APART = {ROOT / "tests/third_party_clients/clients", ROOT / "tests/browser"}
OURS = {"shared", "functions", "cmkflow", "local_cloud", "tests", "function_app"}


def normalize_name(name: str) -> str:
    """Return a distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def list_installed_packages(file: str) -> set[str]:
    """Return the distributions that a requirements file brings, with all that they bring."""
    found: set[str] = set()
    waiting = []
    for line in (ROOT / file).read_text().splitlines():
        if nested := re.match(r"-r (\S+)", line):
            found |= list_installed_packages(nested[1])
        elif line.startswith("-e "):
            waiting += PROJECT["dependencies"]
        elif pinned := re.match(r"[\w.-]+(?===)", line):
            waiting.append(pinned[0])
    while waiting:
        name = normalize_name(re.split(r"[^\w.-]", waiting.pop())[0])
        if name not in found:
            found.add(name)
            waiting += [one for one in metadata.requires(name) or () if ";" not in one]
    return found


def find_imported_packages(folder: str) -> dict[str, Path]:
    """Return the packages of others that the modules of a folder import, each with one of them."""
    found: dict[str, Path] = {}
    for path in (ROOT / folder).rglob("*.py"):
        if APART & set(path.parents):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            else:
                continue
            found |= {name.split(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names}


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """The distributions of this environment by the packages that they hold."""
    return metadata.packages_distributions()


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("shared", "requirements-demo.txt"),
        ("cmkflow", "requirements-demo.txt"),
        ("local_cloud", "requirements-demo.txt"),
        ("tests", "requirements-test.txt"),
    ],
)
def test_every_imported_package_is_in_the_requirements(
    folder: str, file: str, distributions: Mapping[str, list[str]]
) -> None:
    """The package must not come from the requirements of lint or types alone."""
    installed = list_installed_packages(file)
    missing = {
        f"{path.relative_to(ROOT)} imports {name}"
        for name, path in find_imported_packages(folder).items()
        if name not in OURS
        and not installed & set(map(normalize_name, distributions.get(name, ())))
    }

    assert missing == set()

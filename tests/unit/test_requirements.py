import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from tests.pins import format_requirements, list_files, normalize_name, read_requirements

ROOT = Path(__file__).parents[2]
#: They run in an environment of their own, where nothing of ours is; or are skipped without theirs.
APART = {ROOT / "tests/third_party_clients/clients", ROOT / "tests/browser"}
OURS = {"shared", "functions", "cmkflow", "local_cloud", "tests", "function_app"}


def list_installed_packages(file: str) -> set[str]:
    """Return the packages that a requirements file names, and their dependencies."""
    found: set[str] = set()
    layers = read_requirements(ROOT / file).layers
    waiting = [pin.name for layer in layers for pin in layer.direct]
    while waiting:
        name = normalize_name(re.split(r"[^\w.-]", waiting.pop())[0])
        if name not in found:
            found.add(name)
            waiting += [one for one in metadata.requires(name) or () if ";" not in one]
    return found


def find_imported_packages(folder: str) -> dict[str, Path]:
    """Return the packages outside the standard library that a folder imports, each with a module
    that imports it.
    """
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
    """Return the names of the installed distributions that contain each package."""
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
    """It is not sufficient that a tool for lint or types installs the package."""
    installed = list_installed_packages(file)
    missing = {
        f"{path.relative_to(ROOT)} imports {name}"
        for name, path in find_imported_packages(folder).items()
        if name not in OURS
        and not installed & set(map(normalize_name, distributions.get(name, ())))
    }

    assert missing == set()


@pytest.mark.parametrize("path", list_files(), ids=lambda path: path.name)
def test_every_pin_has_a_hash(path: Path) -> None:
    """pip rejects a file in which a hash is missing."""
    pins = read_requirements(path).pins.values()

    assert pins
    assert [str(pin) for pin in pins if not pin.hashes] == []


@pytest.mark.parametrize("file", ["requirements-demo.txt", "requirements-dev.txt"])
def test_pins_are_complete_and_are_the_versions_of_these_tests(file: str) -> None:
    """The versions are those that the tests run with."""
    pins = read_requirements(ROOT / file).pins
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = {normalize_name(re.split("[<>=]", one)[0]) for one in project["dependencies"]}

    assert (list_installed_packages(file) | own) - set(pins) == set()
    assert {key: pin.version for key, pin in pins.items()} == {
        key: metadata.version(key) for key in pins
    }


def test_a_line_without_a_version_is_rejected(tmp_path: Path) -> None:
    """`tests/pins.py` would lose such a package when it writes the pins again."""
    path = tmp_path / "requirements.txt"
    path.write_text("# Two.\naiohttp==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\nrequests>=2\n")

    with pytest.raises(ValueError, match="a line that is no pin: requests>=2"):
        read_requirements(path)


def test_pins_of_a_file_are_written_as_they_are_read() -> None:
    for path in list_files():
        here = read_requirements(path)
        below = here.nested.pins if here.nested else {}

        assert format_requirements(here, here.pins, below) == path.read_text()

"""Test `pip install .` as an administrator runs it, in a separate environment."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from shared.bootstrap import provide
from tests.command_tree import build_command_tree
from tests.functional.cli.cli_app import KEY, deliver_messages, serve_app
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.pins import write_constraints

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
FLOW = {
    "properties": {
        "definition": {"triggers": {"manual": {"type": "Request", "kind": "Http"}}, "actions": {}}
    }
}
#: Fails wherever the command line imports it.
OTHER_SHARED = "raise ImportError('the other package')\n"
#: Asks each command for its help; prints a JSON list of exit codes and texts.
HELPS = """
import contextlib, io, json, sys
from cmkflow.__main__ import main

said = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["cmkflow", *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main()
            code = None
        except SystemExit as end:
            code = end.code
    said.append((code, text.getvalue()))
print(json.dumps(said))
"""
#: Imports each module, also those that only the app uses.
MODULES = """
import importlib, pkgutil
import cmkflow

for one in pkgutil.walk_packages(cmkflow.__path__, "cmkflow."):
    try:
        importlib.import_module(one.name)
    except ModuleNotFoundError as error:
        # Installed in Azure only.
        assert not error.name.startswith(("cmkflow", "shared")), error
"""
#: What bash asks when somebody presses the tab key.
COMPLETION = {
    "_CMKFLOW_COMPLETE": "complete_bash",
    "COMP_WORDS": "cmkflow ins",
    "COMP_CWORD": "1",
}
pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A new Python environment without access to the checkout, in which `cmkflow` is installed."""

    venv: Path
    #: The folder that it is run in.
    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    async def read_helps(self, commands: list[tuple[str, ...]]) -> list[tuple[int | None, str]]:
        """Return exit code and output of `--help` for each command, all run in one process."""
        told = await self.run_python(HELPS, json.dumps(commands))
        assert told[0] == 0, told
        return [(code, text) for code, text in json.loads(told[1])]

    async def run_python(self, code: str, *arguments: str) -> tuple[int | None, str]:
        return await self._run_program("python", "-c", code, *arguments)

    async def run(self, *arguments: str) -> tuple[int | None, str]:
        return await self._run_program("cmkflow", *arguments)

    async def _run_program(self, program: str, *arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            self.venv / "bin" / program, *arguments,
            cwd=self.home, env={"HOME": str(self.home), "COLUMNS": "200", **self.environ},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return process.returncode, output.decode()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Installed:
    """Install the wheel and its requirements into a new environment that also has another package
    called `shared`.
    """
    venv, home = tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    [packages] = venv.glob("lib/*/site-packages")
    other = packages / "shared" / "__init__.py"
    other.parent.mkdir()
    other.write_text(OTHER_SHARED)
    pip = [*PIP, "--python", str(venv / "bin" / "python"), "install", "--no-compile"]
    constraints = write_constraints(tmp_path / "constraints.txt")
    subprocess.run([*pip, "-c", str(constraints), str(wheel)], check=True)
    assert [path.name for path in other.parent.iterdir()] == [other.name]
    assert other.read_text() == OTHER_SHARED
    return Installed(venv=venv, home=home)


def test_wheel_has_the_files_of_cmkflow_and_shared_in_one_package(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "cmkflow", "shared"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip

    names = set(zipfile.ZipFile(wheel).namelist())

    assert {name.split("/")[0] for name in names} == {
        "cmkflow",
        "-".join(wheel.name.split("-")[:2]) + ".dist-info",
    }
    assert {name for name in names if ".dist-info/" not in name} == {
        re.sub("^shared/", "cmkflow/_shared/", name) for name in listed.stdout.split()
    }


@pytest.mark.parametrize(
    "code", ["import shared.errors", "def read():\n    return load('shared.errors')"]
)
def test_import_of_shared_that_cannot_be_rewritten_fails_the_build(
    tmp_path: Path, code: str
) -> None:
    """An import that the build did not rewrite would find another package at run time."""
    for name in ("pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "cmkflow").mkdir()
    (tmp_path / "cmkflow/page.py").write_text(code)
    (tmp_path / "shared").mkdir()

    built = subprocess.run(
        [*PIP, "wheel", "--no-deps", "--wheel-dir", str(tmp_path / "built"), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert built.returncode
    assert "page.py:" in built.stderr
    assert "must be imported by" in built.stderr


async def test_installed_command_line_works_offline_and_with_the_app(installed: Installed) -> None:
    modules = await installed.run_python(MODULES)
    helps = await installed.read_helps([*build_command_tree()])
    version = await installed.run("--version")
    completed = await replace(installed, environ=COMPLETION).run()
    (installed.home / "flow.json").write_text(json.dumps(FLOW))
    inspected = await installed.run("inspect", "flow.json")
    # What signing in imports, up to the Azure CLI: there is none on this path.
    signed_in = await installed.run(
        *("service-account", "sign-in", "--tenant", "contoso", "--client-id", "operator"),
        *("--token-cache-secret", "https://operator.vault.azure.net/secrets/cache"),
    )
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    provide(scenario.services)
    async with serve_app() as app, deliver_messages(scenario.driver):
        online = replace(installed, environ={"CMKFLOW_API": app.url, "CMKFLOW_KEY": KEY})
        listed = await online.run("environment", "list")
        page = await online.run("assess", "show", "--all", "--html", "page.html")

    assert modules == (0, "")
    assert version[0] == 0, version
    assert version[1].startswith("cmkflow ")
    assert completed == (0, "inspect\n")
    assert len(helps) == len(build_command_tree())
    assert [said for said in helps if said[0] or "Usage:" not in said[1]] == []
    assert inspected[0] == 0, inspected
    assert "1 stays on Microsoft's key" in inspected[1]
    assert signed_in[0] == 1
    assert "Azure CLI" in signed_in[1]
    assert listed[0] == 0, listed
    assert scenario.build.environment.id in listed[1]
    assert page[0] == 0, page
    assert "Orders" in (installed.home / "page.html").read_text()

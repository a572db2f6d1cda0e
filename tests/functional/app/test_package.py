"""Test the package that `azd up` deploys."""

import asyncio
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pathspec import GitIgnoreSpec

from tests.pins import write_constraints

ROOT = Path(__file__).parents[3]
PREPARE = ROOT / "infra/prepare_package.py"
WHEELS = Path(".python_packages/lib/site-packages")
INDEXER = Path(__file__).with_name("index_package.py")
MESSAGES = ROOT / "local_cloud/functions_host/rpc_messages.py"
#: The worker, which Azure brings. What the app brings of the same kind goes first.
WORKER = ("azure-functions-runtime", "protobuf")
NEEDED = {"function_app.py", "functions", "shared", "host.json", "requirements.txt"}


def read_ignore_rules() -> GitIgnoreSpec:
    """Return the rules of .funcignore, which azd reads as a .gitignore."""
    return GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())


def list_files() -> list[str]:
    """Return the files of the checkout that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def copy_app(package: Path) -> None:
    """Copy to `package` the files that azd packs, except the wheels."""
    for name in read_ignore_rules().match_files(list_files(), negate=True):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, package / name)


async def run_program(*command: str | Path) -> str:
    """Return the output of a program, or fail with its error output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def index_package(app: Path, *paths: Path) -> dict[str, Any]:
    """Return the functions that the worker finds in an app, and the imported files."""
    printed = await run_program(sys.executable, "-I", "-S", INDEXER, app, MESSAGES, *paths)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def test_package_contains_only_needed_files() -> None:
    top = {
        Path(name).parts[0] for name in read_ignore_rules().match_files(list_files(), negate=True)
    }

    assert top == NEEDED | {".funcignore"}


def test_ignore_rules_do_not_match_files_of_wheels() -> None:
    """Installed packages may import from their own folders `tests` or `build`."""
    rules = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line[:1] != "#"]

    assert [rule for rule in rules if not rule.startswith("/")] == []
    for folder in ("tests", "build", "docs", "var", "infra", "local_cloud", "cmkflow"):
        assert not read_ignore_rules().match_file(str(WHEELS / "some" / folder / "module.py"))


def test_azd_prepares_the_package_before_it_packs() -> None:
    source = (ROOT / "azure.yaml").read_text()

    assert source.count("infra/prepare_package.py\n") == 2
    assert "remoteBuild: false" in source
    runtime = (ROOT / "infra/modules/function-app.bicep").read_text()
    assert "runtime: { name: 'python', version: '3.13' }" in runtime
    assert 'PYTHON = "3.13"' in PREPARE.read_text()


def test_minimum_version_of_azd_is_documented() -> None:
    """An older azd would build the app in Azure."""
    (least,) = re.findall(r'azd: ">= ([\d.]+)"', (ROOT / "azure.yaml").read_text())

    assert f"{least} or later" in (ROOT / "docs/deployment.md").read_text()


@pytest.fixture
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_package", PREPARE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_values_after_an_edit(folder: Path, tmp_path: Path) -> list[int]:
    """Edit a module of the app and one of a wheel. Return the values that Python then imports."""
    ours, wheel = folder / "shared/answer.py", folder / WHEELS / "somebodys.py"
    for file in (ours, wheel):
        file.write_text("VALUE = 2")
        os.utime(file, (1, 1))  # a zip, and what is mounted from it, keeps no exact times
    code = "import somebodys, shared.answer; print(shared.answer.VALUE, somebodys.VALUE)"
    environment = {"PYTHONPATH": f"{folder}:{folder / WHEELS}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True,
        check=True, text=True,
    )  # fmt: skip
    return [int(value) for value in done.stdout.split()]


def test_byte_code_of_every_module_is_validated_by_hash(
    prepare: ModuleType, tmp_path: Path
) -> None:
    """The package contains byte code so that the app starts faster."""
    package = tmp_path / "package"
    copy_app(package)
    (package / WHEELS).mkdir(parents=True)
    (package / WHEELS / "somebodys.py").write_text("VALUE = 1")
    (package / "shared/answer.py").write_text("VALUE = 1")
    stale = package / "shared/__pycache__/gone.cpython-312.pyc"
    stale.parent.mkdir()
    stale.touch()

    prepare.compile_all(package)

    modules = [file for file in package.rglob("*.py") if file.stat().st_size]
    byte_code = [Path(importlib.util.cache_from_source(str(file))) for file in modules]
    assert len(modules) > 300
    for file in byte_code:
        content = file.read_bytes()
        assert content[:4] == importlib.util.MAGIC_NUMBER
        assert content[4] & 1, "validated by a hash"
        assert str(tmp_path).encode() not in content, "names a folder of this machine"
    assert not stale.exists()
    # An edited checkout runs what was edited; what a wheel brought is not even compared.
    assert read_values_after_an_edit(package, tmp_path) == [2, 1]


def test_other_python_version_packs_no_byte_code(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Python does not read byte code of another version."""
    monkeypatch.setattr(prepare, "PYTHON", "3.99")
    (tmp_path / "function_app.py").write_text("VALUE = 1")

    prepare.compile_all(tmp_path)

    assert "No Python 3.99 here" in capsys.readouterr().err
    assert [file.name for file in tmp_path.rglob("*")] == ["function_app.py"]


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the package has wheels for Linux on x86-64, which cannot be loaded here",
)
async def test_worker_indexes_the_same_functions_in_the_package(tmp_path: Path) -> None:
    package, worker = tmp_path / "package", tmp_path / "worker"
    copy_app(package)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraints = write_constraints(tmp_path / "constraints.txt")
    await asyncio.gather(
        run_program(sys.executable, PREPARE, package),
        run_program(*pip, "--target", worker, "--constraint", constraints, *WORKER),
    )

    in_package, in_checkout = await asyncio.gather(
        index_package(package, package, package / WHEELS, worker),
        index_package(
            ROOT, ROOT, *map(Path, (path for path in sys.path if "site-packages" in path))
        ),
    )

    assert len(in_package["functions"]) > 20
    assert in_package["functions"] == in_checkout["functions"]
    homes = tuple(map(str, (package, worker, INDEXER, MESSAGES)))
    assert [file for file in in_package["loaded"] if not file.startswith(homes)] == []
    assert [name for name in ("tests", "local_cloud", "cmkflow") if (package / name).exists()] == []

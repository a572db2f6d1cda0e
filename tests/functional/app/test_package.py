"""What `azd up` puts into Azure: the files that .funcignore leaves, with wheels for Linux."""

import asyncio
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[3]
WHEELS = Path(".python_packages/lib/site-packages")
INDEXER = Path(__file__).with_name("index_package.py")
MESSAGES = ROOT / "local_cloud/functions_host/rpc_messages.py"
#: The worker, which Azure brings. What the app brings of the same kind goes first.
WORKER = ("azure-functions-runtime", "protobuf")
NEEDED = {"function_app.py", "functions", "shared", "host.json", "requirements.txt"}


def ignored() -> GitIgnoreSpec:
    """Return the rules of .funcignore, which azd reads as a .gitignore."""
    return GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())


def files() -> list[str]:
    """Return what lies in the checkout, with new files but without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


async def run(*command: str | Path) -> str:
    """Return what a program prints; fails with what it says if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def indexed(app: Path, *paths: Path) -> dict[str, Any]:
    """Return the functions that the worker finds in an app, and the modules that it took."""
    printed = await run(sys.executable, "-I", "-S", INDEXER, app, MESSAGES, *paths)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def test_the_package_leaves_out_what_the_app_does_not_need() -> None:
    """Whatever the repository holds is part of the app, or named in .funcignore."""
    top = {Path(name).parts[0] for name in ignored().match_files(files(), negate=True)}

    assert top == NEEDED | {"constraints.txt", ".funcignore"}


def test_no_rule_for_the_repository_reaches_into_the_wheels() -> None:
    """Distributions have folders named `tests` and `build` too, and import from them."""
    rules = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line[:1] != "#"]

    assert [rule for rule in rules if not rule.startswith("/")] == ["__pycache__"]
    for folder in ("tests", "build", "docs", "var", "infra", "local_cloud", "cmkflow"):
        assert not ignored().match_file(str(WHEELS / "some" / folder / "module.py"))


def test_azd_installs_the_wheels_before_it_packs() -> None:
    """On either family of systems, where the worker looks; and Azure builds nothing."""
    source = (ROOT / "azure.yaml").read_text()

    assert source.count(f"infra/install_wheels.py {WHEELS.as_posix()}\n") == 2
    assert "remoteBuild: false" in source
    runtime = (ROOT / "infra/modules/function-app.bicep").read_text()
    assert "runtime: { name: 'python', version: '3.13' }" in runtime
    assert 'PYTHON = "3.13"' in (ROOT / "infra/install_wheels.py").read_text()


def test_the_least_version_of_azd_is_documented() -> None:
    """An older one would build in Azure, whatever azure.yaml says."""
    (least,) = re.findall(r'azd: ">= ([\d.]+)"', (ROOT / "azure.yaml").read_text())

    assert f"{least} or later" in (ROOT / "docs/deployment.md").read_text()


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the package has wheels for Linux on x86-64, which cannot be loaded here",
)
async def test_the_worker_finds_in_the_package_what_the_app_registers(tmp_path: Path) -> None:
    """Microsoft's worker, with nothing to import from but the package and itself."""
    package, worker = tmp_path / "package", tmp_path / "worker"
    for name in ignored().match_files(files(), negate=True):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, package / name)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraints = ROOT / "constraints.txt"
    await asyncio.gather(
        run(sys.executable, ROOT / "infra/install_wheels.py", package / WHEELS),
        run(*pip, "--target", worker, "--constraint", constraints, *WORKER),
    )

    in_package, in_checkout = await asyncio.gather(
        indexed(package, package, package / WHEELS, worker),
        indexed(ROOT, ROOT, *map(Path, (path for path in sys.path if "site-packages" in path))),
    )

    assert len(in_package["functions"]) > 20
    assert in_package["functions"] == in_checkout["functions"]
    homes = tuple(map(str, (package, worker, INDEXER, MESSAGES)))
    assert [file for file in in_package["loaded"] if not file.startswith(homes)] == []
    assert [name for name in ("tests", "local_cloud", "cmkflow") if (package / name).exists()] == []

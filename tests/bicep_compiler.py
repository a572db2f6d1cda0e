"""Run Microsoft's Bicep compiler, which the environment variable BICEP names or which is on
PATH.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Empty where there is none. What BICEP names and cannot be run fails the tests.
COMPILER = os.environ.get("BICEP") or shutil.which("bicep") or ""
needs_compiler = pytest.mark.skipif(
    not COMPILER, reason="Microsoft's Bicep compiler is neither named by BICEP nor on PATH"
)
#: Where a snapshot is deployed to: ids that stand for a subscription and a tenant.
SNAPSHOT_OF = (
    "--subscription-id=11111111-1111-1111-1111-111111111111",
    "--tenant-id=99999999-9999-9999-9999-999999999999",
    "--location=westeurope",
)


def run_bicep(*arguments: str, of: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the compiler in a folder. A warning goes to stderr and leaves exit code 0."""
    return subprocess.run(
        [COMPILER, *arguments],
        # It asks for no library of ICU, which a bare Debian does not have.
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        cwd=of,
        capture_output=True,
        text=True,
        check=False,
    )


def list_diagnostics(folder: Path, pattern: str) -> list[str]:
    """Return the errors, warnings and notes of the compiler's linter about files of a folder."""
    said = run_bicep("lint", "--pattern", pattern, of=folder).stderr.splitlines()
    return sorted({line for line in said if line.strip()})


def write_snapshot(parameters: Path) -> Path:
    """Write the snapshot of a deployment: the resources that the template and a parameters file
    declare. Returns the snapshot's path. Raises `ValueError` with the compiler's message.
    """
    done = run_bicep("snapshot", str(parameters), "--mode=overwrite", *SNAPSHOT_OF)
    if done.returncode:
        raise ValueError(done.stderr)
    written = parameters.with_suffix(".snapshot.json")
    document = json.loads(written.read_text())
    # The compiler writes them in another order each time.
    document["outputs"] = dict(sorted(document["outputs"].items()))
    written.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return written


def compare_snapshot(parameters: Path) -> str:
    """Return the differences between the committed snapshot of a parameters file and the present
    template.
    """
    done = run_bicep("snapshot", str(parameters), "--mode=validate", *SNAPSHOT_OF)
    return done.stdout + done.stderr


if __name__ == "__main__":  # `make snapshots`
    for _path in sorted((Path(__file__).parents[1] / "infra/snapshots").glob("*.bicepparam")):
        print(write_snapshot(_path))

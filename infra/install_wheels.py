"""Install what requirements.txt names, for the app's Python in Azure, into a folder of the package.

Runs before `azd` packs the app, on any system and with any Python that has pip: wheels for Linux
and CPython 3.13 are fetched, nothing is built. An older install in the folder is removed first.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"  # as in modules/function-app.bicep
#: Linux with glibc 2.28 or 2.17, on x86-64: older than what Azure runs, so that it serves there.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")


def main() -> int:
    """Install into the folder that the command line names; returns pip's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [f"--target={folder}", f"--requirement={ROOT / 'requirements.txt'}", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    return subprocess.run(command, check=False).returncode  # noqa: S603 -- all of it is ours


if __name__ == "__main__":
    sys.exit(main())

"""Prepare the app's package: install the packages of requirements.txt, and compile all modules.

Runs before `azd` packs the app, on any system and with any Python that has pip. It downloads wheels
for Linux and CPython 3.13 and builds nothing.

Azure mounts the package read-only, so that a module without byte code is compiled at every start of
an instance. Byte code is validated by a hash, because the package does not keep the times of files.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS = Path(".python_packages/lib/site-packages")
PYTHON = "3.13"  # as in modules/function-app.bicep
#: Linux with glibc 2.28 or 2.17, on x86-64: older than what Azure runs, so that it serves there.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
OURS = ("function_app.py", "functions", "shared")


def main() -> int:
    """Prepare the folder that the command line names. Returns 0, or pip's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT, help="by default this one")
    folder: Path = parser.parse_args().folder.resolve()
    code = install(folder / WHEELS)
    if not code:
        compile_all(folder)
    return code


def install(wheels: Path) -> int:
    """Replace the installed wheels with those of requirements.txt. Returns pip's exit code."""
    shutil.rmtree(wheels, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [f"--target={wheels}", f"--requirement={ROOT / 'requirements.txt'}", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    return subprocess.run(command, check=False).returncode  # noqa: S603 -- all of it is ours


def compile_all(folder: Path) -> None:
    """Compile the app and its wheels, or print a message if no suitable Python is installed.

    Modules of the app are compared with their sources at each import (`checked-hash`), because the
    folder may be a checkout, in which sources change.
    """
    tag = f"cpython-{PYTHON.replace('.', '')}"
    is_it = sys.implementation.cache_tag == tag
    python = sys.executable if is_it else shutil.which(f"python{PYTHON}")
    if python is None:
        text = f"No Python {PYTHON} here: the package has no byte code, and starts more slowly."
        print(text, file=sys.stderr)
        return
    # Byte code of another Python, or of a module that is gone, would be packed too.
    for where in ("__pycache__", "functions/**/__pycache__", "shared/**/__pycache__"):
        for old in folder.glob(where):
            shutil.rmtree(old)
    command = [python, "-m", "compileall", "-qq", "-f", "-j0", "-s", str(folder)]
    ours = [str(folder / name) for name in OURS]
    for mode, places in (("checked-hash", ours), ("unchecked-hash", [str(folder / WHEELS)])):
        whole = [*command, "--invalidation-mode", mode, *places]
        subprocess.run(whole, check=False)  # noqa: S603 -- all of it is ours


if __name__ == "__main__":
    sys.exit(main())

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_make_without_python_prints_the_install_command(tmp_path: Path) -> None:
    """The README has the same command."""
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    for path in ROOT.glob("requirements*.txt"):
        (tmp_path / path.name).symlink_to(path)

    done = subprocess.run(
        ["make", "demo", "PYTHON=no-such-python"],
        # Not as a part of the `make` that runs the tests: that one's variables are left out.
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    line = "apt-get install python3.13 python3.13-venv"
    assert done.stderr.startswith(f"Missing. As root: {line}\n")
    assert line in (ROOT / "README.md").read_text()
    assert done.stdout == ""
    assert not (tmp_path / ".venv").exists()

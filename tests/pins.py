"""Write the versions and hashes of all packages that the requirements files install.

    python -m tests.pins [--upgrade] [FILE…]

Each file names the packages that the project needs directly, then those that they bring. A pin has
the hashes of the wheels for CPython 3.13 on Linux, x86-64 and ARM, and of nothing else: pip then
installs these files only, and builds nothing. Without `--upgrade`, brought packages keep their
version where the direct ones allow it.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: Wheels for glibc 2.28 and older, as in infra/prepare_package.py and the Makefile.
MACHINES = ("x86_64", "aarch64")
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
#: Environments of third-party clients: some packages have wheels for newer glibc on x86-64 only.
ON_ONE_MACHINE = ("requirements-azure-cli.txt", "requirements-third-party-clients.txt")
BROUGHT = "# Brought by these:"
_PIN = re.compile(r"([A-Za-z][\w.-]*)==(\S+)((?: *\\\n *--hash=sha256:[0-9a-f]{64})*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package with its version, and the SHA-256 hash of each of its wheels in hexadecimal."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return the package's name in the form in which registries compare names."""
        return normalize_name(self.name)

    def __str__(self) -> str:
        lines = [f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)]
        return " \\\n    ".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """A requirements file: its comments and `-r` lines, the pins of direct packages, and the pins
    of the packages that these need.
    """

    path: Path
    head: str
    direct: tuple[Pin, ...]
    brought: tuple[Pin, ...]

    @property
    def nested(self) -> "Requirements | None":
        """Return the requirements file that this one includes, or None."""
        named = re.search(r"^-r (\S+)", self.head, re.MULTILINE)
        return read_requirements(self.path.parent / named[1]) if named else None

    @property
    def layers(self) -> tuple["Requirements", ...]:
        """Return all files that this one includes, then this file."""
        return (*(self.nested.layers if self.nested else ()), self)

    @property
    def pins(self) -> dict[str, Pin]:
        """Return by key all pins of this file and of those that it includes."""
        return {pin.key: pin for one in self.layers for pin in (*one.brought, *one.direct)}


def normalize_name(name: str) -> str:
    """Return the name of a package in the form in which registries compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(path: Path) -> Requirements:
    """Read a requirements file. Raises `ValueError` for a line that is not a pin."""
    upper, _, lower = path.read_text().partition(f"{BROUGHT}\n")
    head = "".join(
        takewhile(lambda line: line.startswith(("#", "-r ")), upper.splitlines(keepends=True))
    )
    parts = [_read_pins(upper.removeprefix(head), path), _read_pins(lower, path)]
    return Requirements(path=path, head=head, direct=parts[0], brought=parts[1])


def _read_pins(text: str, path: Path) -> tuple[Pin, ...]:
    found = tuple(
        Pin(name=name, version=version, hashes=tuple(re.findall(r"[0-9a-f]{64}", hashes)))
        for name, version, hashes in _PIN.findall(text)
    )
    if rest := _PIN.sub("", text).strip():
        raise ValueError(f"{path.name} has a line that is no pin: {rest.splitlines()[0]}")
    return found


def write_constraints(path: Path, file: str = "requirements-dev.txt") -> Path:
    """Write the versions of a requirements file, without hashes, for pip's option `-c`.

    Return the path.
    """
    pins = read_requirements(ROOT / file).pins.values()
    path.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
    return path


def resolve(
    pins: Iterable[Pin], constraints: Iterable[Pin], platforms: Iterable[Sequence[str]]
) -> dict[str, Pin]:
    """Return by key all packages that pip would install, with the hashes for all machines.

    `platforms` contains the platform tags of each machine. Raises `CalledProcessError` if a package
    has no wheel for one of the machines, and `ValueError` if its versions differ.
    """
    found: dict[str, Pin] = {}
    for tags in platforms:
        for one in _report(pins, constraints, tags):
            metadata, archive = one["metadata"], one["download_info"]["archive_info"]
            pin = Pin(name=metadata["name"], version=metadata["version"])
            there = found.get(pin.key, pin)
            if there.version != pin.version:
                raise ValueError(f"{pin.name} has another version on {tags[0]}")
            hashes = {*there.hashes, archive["hashes"]["sha256"]}
            found[pin.key] = Pin(name=pin.name, version=pin.version, hashes=tuple(sorted(hashes)))
    return found


def _report(
    pins: Iterable[Pin], constraints: Iterable[Pin], tags: Sequence[str]
) -> Sequence[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        wanted, allowed = Path(folder) / "wanted.txt", Path(folder) / "allowed.txt"
        for path, listed in ((wanted, pins), (allowed, constraints)):
            path.write_text("".join(f"{one.name}=={one.version}\n" for one in listed))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-"]
        command += ["--ignore-installed", "--only-binary=:all:", "--python-version=3.13"]
        command += [f"--platform={tag}" for tag in tags]
        command += [f"--target={folder}/target", f"--requirement={wanted}"]
        command += [f"--constraint={allowed}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    installed: Sequence[dict[str, Any]] = json.loads(done.stdout)["install"]
    return installed


def pin_file(path: Path, *, upgrade: bool = False) -> None:
    """Write the pins of a requirements file again: the hashes, and the packages that the direct
    ones need.
    """
    here = read_requirements(path)
    below = here.nested.pins if here.nested else {}
    kept = () if upgrade else here.brought
    direct = [pin for layer in here.layers for pin in layer.direct]
    platforms = [[f"{one}_{machine}" for one in PLATFORMS] for machine in MACHINES]
    if path.name in ON_ONE_MACHINE:
        platforms = [["manylinux_2_35_x86_64", *platforms[0]]]
    found = resolve(direct, [*below.values(), *kept], platforms)
    path.write_text(format_requirements(here, found, below))


def format_requirements(
    here: Requirements, found: Mapping[str, Pin], below: Mapping[str, Pin]
) -> str:
    """Return the text of a requirements file with these packages.

    Those of included files are omitted.
    """
    direct = [Pin(name=pin.name, version=pin.version, hashes=found[pin.key].hashes)
              for pin in here.direct]  # fmt: skip
    known = {*below, *(pin.key for pin in direct)}
    brought = [found[key] for key in sorted(found) if key not in known]
    lines = [*map(str, direct), *([BROUGHT, *map(str, brought)] if brought else [])]
    return here.head + "\n".join(lines) + "\n"


def list_files() -> list[Path]:
    """Return all requirements files, each after the one that it includes."""
    paths = ROOT.glob("requirements*.txt")
    return sorted(paths, key=lambda path: (len(read_requirements(path).layers), path.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", help="by default all", metavar="FILE")
    parser.add_argument("--upgrade", action="store_true", help="take the newest brought packages")
    given = parser.parse_args()
    for path in given.files or list_files():
        pin_file(path.resolve(), upgrade=given.upgrade)


if __name__ == "__main__":
    main()

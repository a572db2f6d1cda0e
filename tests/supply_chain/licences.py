"""List the licences of a software bill of materials (SBOM), and fail if one of them is not allowed.

    python -m tests.supply_chain.licences SBOM

The SBOM is CycloneDX JSON. The program prints a Markdown table. If a package offers a choice of
licences, each of them must be allowed.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: SPDX ids, and classifiers of packages that name no SPDX id. All permit a package
#: under the MIT licence; MPL-2.0 does as long as its files are not changed.
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0"),
        *("MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense"),
        "License :: OSI Approved :: Apache Software License",
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: MIT License",
        "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    }
)
#: Packages whose metadata name no licence: what the file LICENSE in the wheel is.
READ_IN_THE_WHEEL = {"protobuf": "BSD-3-Clause"}


def find_licences(component: Mapping[str, Any]) -> Sequence[str]:
    """Return the licences of a package, each once."""
    found = sorted(
        {one for choice in component.get("licenses", ()) for one in _split_choice(choice)}
    )
    in_the_wheel = READ_IN_THE_WHEEL.get(component["name"])
    return found or ([in_the_wheel] if in_the_wheel else [])


def _split_choice(choice: Mapping[str, Any]) -> Iterator[str]:
    if "expression" in choice:
        yield from re.sub(
            r"[()]", " ", re.sub(r" (?:AND|OR|WITH) ", "  ", choice["expression"])
        ).split()
    else:
        yield choice["license"].get("id") or choice["license"]["name"]


def find_problems(sbom: Mapping[str, Any]) -> list[str]:
    """Return a line for each package without a licence, or with one that is not allowed."""
    problems = []
    for component in sbom["components"]:
        licences = find_licences(component)
        name = f"{component['name']} {component['version']}"
        if not licences:
            problems.append(
                f"{name} names no licence: read its LICENSE, add it to READ_IN_THE_WHEEL"
            )
        problems += [f"{name}: {one} is not allowed" for one in licences if one not in ALLOWED]
    return problems


def format_table(sbom: Mapping[str, Any]) -> str:
    rows = [
        f"| {one['name']} | {one['version']} | {', '.join(map(_shorten, find_licences(one)))} |"
        for one in sbom["components"]
    ]
    return "\n".join(["| Package | Version | Licence |", "|---|---|---|", *rows, ""])


def _shorten(licence: str) -> str:
    return licence.rpartition(" :: ")[2]


def main() -> int:
    """Print the table. Returns 1 if a licence is missing or not allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sbom", type=Path)
    sbom = json.loads(parser.parse_args().sbom.read_text())
    print(format_table(sbom), end="")
    problems = find_problems(sbom)
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

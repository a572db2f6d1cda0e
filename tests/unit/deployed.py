"""The resources that the template of `infra/` deploys, as its compiler evaluates it for a set of
parameters. `make snapshots` writes them to `infra/snapshots/*.snapshot.json`. A value that only
Azure knows, such as the id of an identity, stays an expression in brackets.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted([*INFRA.glob("*.bicep"), *INFRA.glob("modules/*.bicep")])
SETS = sorted((INFRA / "snapshots").glob("*.bicepparam"))
#: The set of parameters that sets all of them.
EVERYTHING = "everything"

type Resource = dict[str, Any]


def read_predicted_resources(given: str = EVERYTHING) -> list[Resource]:
    found: list[Resource] = _read_snapshot(given)["predictedResources"]
    return found


def find_resources(resource_type: str, given: str = EVERYTHING) -> list[Resource]:
    return [one for one in read_predicted_resources(given) if one["type"] == resource_type]


def find_resource(resource_type: str, name: str, given: str = EVERYTHING) -> Resource:
    """Return the only resource of a type whose name begins with this text."""
    [found] = [one for one in find_resources(resource_type, given) if one["name"].startswith(name)]
    return found


def read_outputs(given: str = EVERYTHING) -> dict[str, Any]:
    values: dict[str, Any] = _read_snapshot(given)["outputs"]
    return values


def split_arguments(call: str) -> list[str]:
    """Return the arguments of a call in a template expression, unevaluated."""
    found, depth = [""], 0
    for token in re.findall(r"'(?:[^']|'')*'|.", call):
        depth -= token in ")]"
        if token == "," and depth == 1:
            found.append("")
        elif depth > 0:
            found[-1] += token
        depth += token in "(["
    return [one.strip() for one in found]


def parse_members(call: str) -> dict[str, str]:
    """Return the members of a `createObject(…)` call. Literals lose their quotes, and expressions
    stay unevaluated.
    """
    words = [one.strip("'") for one in split_arguments(call)]
    return dict(zip(words[::2], words[1::2], strict=True))


def _read_snapshot(given: str) -> dict[str, Any]:
    path = INFRA / "snapshots" / f"{given}.snapshot.json"
    document: dict[str, Any] = json.loads(path.read_text())
    return document

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Demand(NamedTuple):
    says: str
    does: str
    tests: tuple[str, ...]


def read_demands() -> list[Demand]:
    found = []
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|- ") or cells[-1] == "Tests":
            continue
        says, does, proof = cells
        found.append(Demand(says, does, tuple(re.findall(r"`([^`]+)`", proof))))
    return found


@cache
def read_test_names(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize("demand", read_demands(), ids=lambda demand: demand.says[:40])
def test_each_demand_is_met_and_has_tests(demand: Demand) -> None:
    assert demand.does
    assert demand.tests, f"no test for: {demand.says}"

    for test in demand.tests:
        path, _, name = test.partition("::")
        assert (ROOT / "tests" / path).is_file(), test
        assert name in read_test_names(path), test


def test_no_requirement_is_listed_twice() -> None:
    quotes = [demand.says for demand in read_demands()]

    assert len(quotes) > 20
    assert len(set(quotes)) == len(quotes)

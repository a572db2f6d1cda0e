import re
from enum import StrEnum
from pathlib import Path

import pytest

from functions import problems
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.remediation import RemediationMode
from tests import http_api_tables

ENDPOINTS = http_api_tables.list_documented_endpoints()

TEXT = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text()


def test_tables_match_the_code() -> None:
    """If this fails, `python -m tests.http_api_tables` writes the tables again."""
    assert http_api_tables.with_all_tables(TEXT) == TEXT


def test_every_route_is_documented() -> None:
    rows = re.findall(r"^\| `/api/([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)
    found = {
        (method, path, role)
        for path, methods in rows
        for method, role in re.findall(r"`([A-Z]+)` (\w+)", methods)
    }

    assert found == {(*route, declared.role or "none") for route, declared in ENDPOINTS.items()}


@pytest.mark.parametrize(
    "kind",
    [
        ApprovalPolicy,
        RemediationMode,
        RemediationState,
        DeletionState,
    ],
)
def test_every_state_and_mode_is_documented(kind: type[StrEnum]) -> None:
    assert [word for word in kind if f"`{word}`" not in TEXT] == []


def test_every_problem_is_documented() -> None:
    documented = set(re.findall(r"\b(\d{3}) `([a-z-]+)`[,.]", TEXT))

    known = {(str(problem.status), kind) for kind, problem in problems.PROBLEMS.items()}
    assert documented == known

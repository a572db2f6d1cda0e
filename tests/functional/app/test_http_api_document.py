"""docs/http-api.md names every route, member, parameter, state and problem; and no others.

It leaves out the pages, which no program requests.
"""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from functions import problems
from functions.http_requests import RequestModel
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode, StartSource
from tests import http_api_tables

ENDPOINTS = http_api_tables.documented_endpoints()

TEXT = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text()


def test_tables_match_the_code() -> None:
    """`python -m tests.http_api_tables` writes the tables."""
    assert http_api_tables.with_all_tables(TEXT) == TEXT


def test_every_route_is_documented() -> None:
    """The table has the routes that are declared with their roles, and no other."""
    rows = re.findall(r"^\| `([A-Z]+) /api/([^`]+)` \| (\w+) \|", TEXT, re.MULTILINE)

    assert set(rows) == {(*route, declared.role or "none") for route, declared in ENDPOINTS.items()}


@pytest.mark.parametrize(
    "request_kind",
    sorted({kind for one in ENDPOINTS.values() for kind in (one.query, one.body)}, key=str),
)
def test_every_member_of_a_request_is_documented(request_kind: type[RequestModel]) -> None:
    """A member is documented by its name in code, in an example or after a question mark."""
    missing = [
        name for name in request_kind.model_fields if not re.search(rf'(`|"|\?){name}(`|"|=)', TEXT)
    ]

    assert missing == []


@pytest.mark.parametrize("decision", ["approve", "cancel", "retry", "rollback"])
def test_members_of_decision_responses_are_documented(decision: str) -> None:
    """The documented members are exactly those of the answer."""
    section = TEXT.partition("### Decisions")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
    documented = {member for member, decisions in rows if f"`{decision}`" in decisions}

    answer = ENDPOINTS["POST", f"remediations/{{id}}/{decision}"].answer

    assert answer
    assert documented == set(answer.model_fields)


@pytest.mark.parametrize(
    "kind",
    [
        ApprovalPolicy,
        RemediationMode,
        StartSource,
        RemediationState,
        NotMigratedReason,
        DeletionState,
    ],
)
def test_every_state_and_mode_is_documented(kind: type[StrEnum]) -> None:
    """Each state and mode in an answer is in the document."""
    assert [word for word in kind if f"`{word}`" not in TEXT] == []


def test_every_problem_is_documented() -> None:
    """The list of errors has each status and `type` of a problem."""
    documented = set(re.findall(r"\b(\d{3}) `([a-z-]+)`[,.]", TEXT))

    known = {(str(problem.status), kind) for kind, problem in problems.PROBLEMS.items()}
    assert documented == known

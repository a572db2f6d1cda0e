"""The generated tables of docs/http-api.md: routes, values, answers, errors.

`python -m tests.http_api_tables` writes them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from functions.endpoints import Endpoint, list_endpoints
from functions.http_requests import RequestModel
from functions.openapi import read_member_comments
from functions.problems import PROBLEMS
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode, StartSource
from tests.generated_tables import list_of, rows_of, with_tables

PAGE = Path(__file__).parents[1] / "docs" / "http-api.md"
ACTIONS = ("approve", "cancel", "retry", "rollback")
#: What the app's own forms add to the address of a page.
_OF_PAGES = ("completed_action", "flow_count")


def documented_endpoints() -> dict[tuple[str, str], Endpoint]:
    """Return by method and path the endpoints for programs, without the pages."""
    return {
        route: one
        for route, one in list_endpoints().items()
        if not one.path.startswith("dashboard")
    }


def with_all_tables(text: str) -> str:
    """Return the text of the page with the tables that the code generates."""
    tables = {
        "routes": _routes(),
        "approval policies": rows_of(ApprovalPolicy),
        "remediation modes": rows_of(RemediationMode),
        "start sources": list_of(StartSource),
        "remediation states": rows_of(RemediationState),
        "flows not migrated": list_of(NotMigratedReason),
        "deletion states": rows_of(DeletionState),
        "answers of actions": _action_answers(),
        "problems": _problems(),
    }
    return with_tables(text, "tests.http_api_tables", tables)


def _routes() -> Iterator[str]:
    yield "| Route | Role | Takes | What it does |"
    yield "|---|---|---|---|"
    for (method, path), one in documented_endpoints().items():
        summary = _summary(one)
        yield f"| `{method} /api/{path}` | {one.role or 'none'} | {_takes(one)} | {summary} |"


def _summary(one: Endpoint) -> str:
    """Return the first paragraph of a route's description on one line, without *Return the*."""
    text = " ".join(one.description.partition("\n\n")[0].split())
    summary = re.sub("^(Return )?(the )?", "", text).rstrip(".")
    return summary[:1].upper() + summary[1:]


def _takes(one: Endpoint) -> str:
    names = [*_names(one.query), *_names(one.body)]
    needed = [f"`{name}`" for name, is_needed in names if is_needed]
    others = [f"`{name}`" for name, is_needed in names if not is_needed]
    optional = f"[{', '.join(others)}]" if others else ""
    return " ".join(filter(None, (", ".join(needed), optional)))


def _names(kind: type[RequestModel]) -> list[tuple[str, bool]]:
    fields = kind.model_fields.items()
    return [(name, one.is_required()) for name, one in fields if name not in _OF_PAGES]


def _action_answers() -> Iterator[str]:
    yield "| Member | Answered by | Meaning |"
    yield "|---|---|---|"
    answers = {
        action: list_endpoints()["POST", f"remediations/{{id}}/{action}"].answer
        for action in ACTIONS
    }
    members: dict[str, list[str]] = {}
    meaning: dict[str, str] = {}
    for action, answer in answers.items():
        assert answer, action
        for name in answer.model_fields:
            members.setdefault(name, []).append(f"`{action}`")
        meaning |= read_member_comments(answer)
    for name, actions in members.items():
        yield f"| `{name}` | {', '.join(actions)} | {meaning.get(name, '')} |"


def _problems() -> Iterator[str]:
    kinds = (f"{problem.status} `{kind}`" for kind, problem in PROBLEMS.items())
    yield f"{', '.join(kinds)}."


if __name__ == "__main__":
    PAGE.write_text(with_all_tables(PAGE.read_text()))

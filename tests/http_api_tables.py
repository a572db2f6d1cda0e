"""Generate the tables of docs/http-api.md: routes, values and errors.

`python -m tests.http_api_tables` writes them.
"""

from collections.abc import Iterator
from pathlib import Path

from functions.endpoints import Endpoint, list_endpoints
from functions.problems import PROBLEMS
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.remediation import RemediationMode
from tests.generated_tables import format_rows, with_tables

PAGE = Path(__file__).parents[1] / "docs" / "http-api.md"


def list_documented_endpoints() -> dict[tuple[str, str], Endpoint]:
    """Return the endpoints of the API by method and path.

    The pages of the dashboard are omitted.
    """
    return {
        route: one
        for route, one in list_endpoints().items()
        if not one.path.startswith("dashboard")
    }


def with_all_tables(text: str) -> str:
    tables = {
        "routes": _format_routes(),
        "approval policies": format_rows(ApprovalPolicy),
        "remediation modes": format_rows(RemediationMode),
        "remediation states": format_rows(RemediationState),
        "deletion states": format_rows(DeletionState),
        "problems": _format_problems(),
    }
    return with_tables(text, "tests.http_api_tables", tables)


def _format_routes() -> Iterator[str]:
    yield "| Path | Methods with their roles |"
    yield "|---|---|"
    roles: dict[str, list[str]] = {}
    for (method, path), one in list_documented_endpoints().items():
        roles.setdefault(path, []).append(f"`{method}` {one.role or 'none'}")
    for path, methods in sorted(roles.items()):
        yield f"| `/api/{path}` | {', '.join(methods)} |"


def _format_problems() -> Iterator[str]:
    kinds = (f"{problem.status} `{kind}`" for kind, problem in PROBLEMS.items())
    yield f"{', '.join(kinds)}."


if __name__ == "__main__":
    PAGE.write_text(with_all_tables(PAGE.read_text()))

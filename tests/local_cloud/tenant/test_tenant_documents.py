import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from local_cloud.tenant.control.api import build_control_application
from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.serving.services import SERVICES


def read_docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


FOLDER = Path(__file__).parents[3] / "local_cloud/tenant"
#: The README refers to the docstrings of the services outside Azure and Power Platform.
PAGES = ("README.md", "azure/README.md")
TEXT = "".join((FOLDER / page).read_text() for page in PAGES) + "".join(
    read_docstring(path) for path in sorted((FOLDER / "external_services").glob("*.py"))
)


@pytest.mark.parametrize("assumption", [each.name for each in fields(Assumptions)])
def test_every_assumption_is_documented(assumption: str) -> None:
    """The README refers to the comments of the assumptions."""
    source = (FOLDER / "core/assumptions.py").read_text()

    assert re.search(rf"^    #: .+\n(?:    (?:#:|\w+:) .+\n)*?    {assumption}: ", source, re.M)


@pytest.mark.parametrize(
    "service",
    [each for each in SERVICES if each.name != "resource_manager"],
    ids=lambda each: each.name,
)
def test_every_route_is_documented(service: Service) -> None:
    """Faults and budgets name routes, so people must be able to find their names."""
    missing = [route.name for route in service.routes(Tenant()) if f"{route.name}`" not in TEXT]

    assert missing == []


def test_every_control_operation_is_documented() -> None:
    routes = build_control_application(Tenant(), "header").routes
    paths = {getattr(route, "path", "") for route in routes}

    assert [path for path in sorted(paths) if path not in TEXT] == []


def test_every_member_of_a_fault_is_documented() -> None:
    names = [each.name for each in fields(Fault)] + list(FaultKind)

    assert [name for name in names if f"`{name}`" not in TEXT] == []

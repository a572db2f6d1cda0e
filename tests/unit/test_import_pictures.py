"""Test that the diagrams of imports in docs/architecture.md are current."""

from functools import cache
from pathlib import Path

import grimp
import pytest

PAGE = Path(__file__).parents[2] / "docs/architecture.md"

type Arrows = set[tuple[str, str]]


@cache
def import_graph() -> grimp.ImportGraph:
    """Return the graph of the imports in `shared` and `local_cloud`."""
    return grimp.build_graph("shared", "local_cloud", cache_dir=None)


def get_part(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def find_arrows(package: str) -> Arrows:
    graph = import_graph()
    return {
        (get_part(module, package), get_part(imported, package))
        for module in graph.find_descendants(package)
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith(f"{package}.")
        and get_part(module, package) != get_part(imported, package)
    }


def find_reached_parts(part: str, arrows: Arrows) -> set[str]:
    found: set[str] = set()
    waiting = [part]
    while waiting:
        one = waiting.pop()
        new = {target for source, target in arrows if source == one} - found
        found |= new
        waiting += new
    return found


def find_needed_arrows(package: str) -> list[tuple[str, str]]:
    """Return the imports, except those that a chain of other imports implies, sorted."""
    arrows = find_arrows(package)
    return sorted(
        (source, target)
        for source, target in arrows
        if target not in find_reached_parts(source, arrows - {(source, target)})
    )


def find_separate_parts(package: str) -> list[str]:
    parts = {get_part(one, package) for one in import_graph().find_children(package)}
    return sorted(parts - {part for arrow in find_arrows(package) for part in arrow})


def draw_picture(package: str) -> str:
    arrows = (f"{source} --> {target}" for source, target in find_needed_arrows(package))
    lines = "\n  ".join(["flowchart TD", *arrows, *find_separate_parts(package)])
    return f"```mermaid\n{lines}\n```"


SHOWN = ("shared.steps", "local_cloud")


@pytest.mark.parametrize("package", [*SHOWN, "shared", "shared.domain", "local_cloud.tenant"])
def test_no_two_folders_import_each_other(package: str) -> None:
    """Indirect imports count, too."""
    arrows = find_arrows(package)

    assert arrows
    assert [part for part, _ in sorted(arrows) if part in find_reached_parts(part, arrows)] == []


@pytest.mark.parametrize("package", SHOWN)
def test_page_shows_the_current_imports(package: str) -> None:
    """If the change is intended, copy the diagram from the failure into the page."""
    assert draw_picture(package) in PAGE.read_text(encoding="utf-8")


def test_every_module_is_in_the_graph_that_layers_are_checked_with() -> None:
    """Modules in a folder without `__init__.py` would be missing, and unchecked."""
    root = PAGE.parents[1]
    found = {
        str(path.relative_to(root).with_suffix("")).removesuffix("/__init__").replace("/", ".")
        for package in ("shared", "local_cloud")
        for path in (root / package).rglob("*.py")
    }

    assert found - import_graph().modules == set()

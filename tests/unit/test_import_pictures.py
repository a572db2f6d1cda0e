"""The pictures of docs/architecture.md: which folder imports which, held to the code itself."""

from functools import cache
from pathlib import Path

import grimp
import pytest

PAGE = Path(__file__).parents[2] / "docs/architecture.md"

type Arrows = set[tuple[str, str]]


@cache
def import_graph() -> grimp.ImportGraph:
    """Return every import of the product and of the local cloud."""
    return grimp.build_graph("shared", "local_cloud", cache_dir=None)


def part_of(module: str, package: str) -> str:
    """Return the folder or file right below a package that a module of it belongs to."""
    return module.removeprefix(f"{package}.").partition(".")[0]


def arrows_in(package: str) -> Arrows:
    """Return who imports whom among the folders and files right below a package."""
    graph = import_graph()
    return {
        (part_of(module, package), part_of(imported, package))
        for module in graph.find_descendants(package)
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith(f"{package}.")
        and part_of(module, package) != part_of(imported, package)
    }


def reached_from(part: str, arrows: Arrows) -> set[str]:
    """Return all that a part imports, and all that these do."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        one = waiting.pop()
        new = {target for source, target in arrows if source == one} - found
        found |= new
        waiting += new
    return found


def picture_of(package: str) -> str:
    """Return the arrows that no way over others makes superfluous, as Mermaid draws them."""
    arrows = arrows_in(package)
    needed = sorted(
        (source, target)
        for source, target in arrows
        if target not in reached_from(source, arrows - {(source, target)})
    )
    alone = {part_of(one, package) for one in import_graph().find_children(package)}
    alone -= {part for arrow in arrows for part in arrow}
    lines = [*(f"{source} --> {target}" for source, target in needed), *sorted(alone)]
    return "\n  ".join(["flowchart TD", *lines])


DRAWN = ("shared", "shared.steps", "shared.domain", "local_cloud")


@pytest.mark.parametrize("package", [*DRAWN, "local_cloud.tenant"])
def test_no_folder_imports_one_that_imports_it(package: str) -> None:
    """Not over others either."""
    arrows = arrows_in(package)

    assert arrows
    assert [part for part, _ in sorted(arrows) if part in reached_from(part, arrows)] == []


@pytest.mark.parametrize("package", DRAWN)
def test_the_page_draws_the_imports_as_they_are(package: str) -> None:
    """Copy the picture from the failure into the page, if the new arrow is meant."""
    assert f"```mermaid\n{picture_of(package)}\n```" in PAGE.read_text(encoding="utf-8")

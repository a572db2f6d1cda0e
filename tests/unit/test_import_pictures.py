"""docs/architecture.md shows which folder imports which, where a picture is readable."""

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


def needed_arrows(package: str) -> list[tuple[str, str]]:
    """Return the imports that do not follow from others, in order."""
    arrows = arrows_in(package)
    return sorted(
        (source, target)
        for source, target in arrows
        if target not in reached_from(source, arrows - {(source, target)})
    )


def parts_alone(package: str) -> list[str]:
    """Return the parts of a package that neither import another nor are imported, in order."""
    parts = {part_of(one, package) for one in import_graph().find_children(package)}
    return sorted(parts - {part for arrow in arrows_in(package) for part in arrow})


def picture_of(package: str) -> str:
    """Return the imports of a package, as Mermaid draws them."""
    arrows = (f"{source} --> {target}" for source, target in needed_arrows(package))
    lines = "\n  ".join(["flowchart TD", *arrows, *parts_alone(package)])
    return f"```mermaid\n{lines}\n```"


SHOWN = ("shared.steps", "local_cloud")


@pytest.mark.parametrize("package", [*SHOWN, "shared", "shared.domain", "local_cloud.tenant"])
def test_no_folder_imports_one_that_imports_it(package: str) -> None:
    """Not over others either."""
    arrows = arrows_in(package)

    assert arrows
    assert [part for part, _ in sorted(arrows) if part in reached_from(part, arrows)] == []


@pytest.mark.parametrize("package", SHOWN)
def test_the_page_shows_the_imports_as_they_are(package: str) -> None:
    """If the new import is meant, copy the text from the failure into the page."""
    assert picture_of(package) in PAGE.read_text(encoding="utf-8")

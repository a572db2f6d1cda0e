"""Test that names of functions begin with a verb, as docs/glossary.md says."""

import ast
from collections.abc import Iterator

from tests.words import ROOT

#: How many functions of each folder begin with another word, such as names of ports and libraries.
CEILINGS = {"shared": 86, "functions": 8, "cmkflow": 4, "local_cloud": 5, "tests": 13}
#: `do_`, `on_` and `pytest_` begin the names of callbacks of libraries.
VERBS = {*(ROOT / "tests" / "verbs.txt").read_text(encoding="utf-8").split(), "do", "on", "pytest"}
#: Decorators of what is used like a noun.
NOUNS = ("property", "fixture", "setter", "overload")


def find_other_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith(("__", "test_")) or node.name == "_":
            continue
        decorators = [ast.unparse(one).partition("(")[0] for one in node.decorator_list]
        if any(one.endswith(NOUNS) for one in decorators):
            continue
        if node.name.lstrip("_").partition("_")[0] not in VERBS:
            yield node.name


def test_functions_begin_with_a_verb() -> None:
    """If a name begins with a new verb, add the verb to `tests/verbs.txt`."""
    for folder, ceiling in CEILINGS.items():
        names = [
            f"{path.relative_to(ROOT)}: {name}"
            for path in sorted((ROOT / folder).rglob("*.py"))
            for name in find_other_names(path.read_text(encoding="utf-8"))
        ]
        assert len(names) <= ceiling, (folder, len(names), names)


def test_function_without_a_verb_is_found() -> None:
    source = """
def job(): ...
def read_job():
    def row(): ...
class A:
    async def _pages(self): ...
    @property
    def count(self): ...
@pytest.fixture(scope="module")
def scenario(): ...
"""
    assert sorted(find_other_names(source)) == ["_pages", "job", "row"]

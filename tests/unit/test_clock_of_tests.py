import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
_CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}


def test_no_test_module_reads_the_clock_at_import() -> None:
    """A long test run may reach a test hours after its module read the clock."""
    found = [
        f"{path.relative_to(TESTS)}:{call.lineno}"
        for path in sorted(TESTS.rglob("*.py"))
        for call in find_calls_at_import(ast.parse(path.read_text()))
        if isinstance(call.func, ast.Attribute) and call.func.attr in _CLOCKS
    ]

    assert found == []


def test_clock_read_is_found_in_a_constant_and_not_in_a_function() -> None:
    """Class bodies and default values run at import, too. The body of a function runs later."""
    module = ast.parse(
        "SOON = datetime.now(UTC)\n"
        "class Row:\n    at = datetime.now(UTC)\n"
        "def make(at=datetime.now(UTC)):\n    return datetime.now(UTC)\n"
        "later = lambda: datetime.now(UTC)\n"
    )

    assert sorted(call.lineno for call in find_calls_at_import(module)) == [1, 3, 4]


def find_calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        parts: list[ast.AST] = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    else:
        parts = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            yield node
    for part in parts:
        yield from find_calls_at_import(part)

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.errors import JobBlocked
from shared.reason import ClearedBy, Reason

ROOT = Path(__file__).parents[2]
#: Exceptions whose reason is a code of the platform.
OF_THE_PLATFORM = {"PlatformError", "PlatformErrorCode", "TokenRejected"}


def iterate_nodes() -> Iterator[tuple[str, ast.AST]]:
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                yield path.name, node


def iterate_calls() -> Iterator[tuple[str, str, ast.Call]]:
    for name, node in iterate_nodes():
        if isinstance(node, ast.Call):
            yield name, ast.unparse(node.func), node


def find_keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)


def test_no_reason_is_a_bare_string() -> None:
    given = [
        f"{name}: {function}"
        for name, function, call in iterate_calls()
        if is_text(find_keyword(call, "code")) and function not in OF_THE_PLATFORM
    ]
    asked = [
        f"{name}: {ast.unparse(node)}"
        for name, node in iterate_nodes()
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).endswith(".code")
        and any(is_text(other) for other in node.comparators)
    ]

    assert given + asked == []


def test_every_reason_is_used() -> None:
    named = {ast.unparse(node) for _, node in iterate_nodes() if isinstance(node, ast.Attribute)}

    assert [reason for reason in Reason if f"Reason.{reason.name}" not in named] == []


def test_every_reason_used_for_a_wake_up_declares_cleared_by() -> None:
    """The reason's `cleared_by` names what clears it."""
    woken = {
        ast.unparse(node)
        for _, function, call in iterate_calls()
        if function.endswith(("wake_up", "_with_code", "Condition"))
        for node in (*call.args, *(one.value for one in call.keywords))
    }
    ended = {f"Reason.{reason.name}" for reason in Reason if reason.cleared_by}

    assert {one for one in woken if one.startswith("Reason.")} == ended
    assert Reason.list_cleared_by(ClearedBy.DEPENDENT_FLOW) == (
        Reason.CHILD_FLOW_NOT_READY,
        Reason.PARENT_FLOW_NOT_READY,
    )


def test_job_blocked_uses_the_fix_of_its_reason_unless_it_has_its_own() -> None:
    standing = JobBlocked("why", code=Reason.TRIGGER_CHANGED)
    better = JobBlocked("why", code=Reason.TRIGGER_CHANGED, fix="Do this.")

    assert standing.fix == Reason.TRIGGER_CHANGED.fix
    assert better.fix == "Do this."

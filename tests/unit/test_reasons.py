"""Reason codes: one enumeration, which nobody goes around, and which says what wakes whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.errors import JobBlocked
from shared.reason import ClearedBy, Reason

ROOT = Path(__file__).parents[2]
#: These carry codes of the platform's.
OF_THE_PLATFORM = {"PlatformError", "PlatformErrorCode", "TokenRejected"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Yield every part of the product's source, with the file that it stands in."""
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                yield path.name, node


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield file, function and the rest of every call."""
    for name, node in nodes():
        if isinstance(node, ast.Call):
            yield name, ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return what a call gives by this name."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def is_text(node: ast.expr | None) -> bool:
    """Say whether it is a string that stands in the source."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)


def test_no_reason_is_a_bare_string() -> None:
    """Neither where it is raised nor where it is asked for."""
    given = [
        f"{name}: {function}"
        for name, function, call in calls()
        if is_text(keyword(call, "code")) and function not in OF_THE_PLATFORM
    ]
    asked = [
        f"{name}: {ast.unparse(node)}"
        for name, node in nodes()
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).endswith(".code")
        and any(is_text(other) for other in node.comparators)
    ]

    assert given + asked == []


def test_every_reason_is_given_somewhere() -> None:
    """One that nobody gives has no row to wait in."""
    named = {ast.unparse(node) for _, node in nodes() if isinstance(node, ast.Attribute)}

    assert [reason for reason in Reason if f"Reason.{reason.name}" not in named] == []


def test_who_is_woken_by_its_reason_is_said_to_be() -> None:
    """By a wake-up or by a search for all that have it; relatives are found by what ends them."""
    woken = {
        ast.unparse(node)
        for _, function, call in calls()
        if function.endswith((".wake_up", "_with_code", "Condition"))
        for node in (*call.args, *(one.value for one in call.keywords))
    }
    ended = {f"Reason.{reason.name}" for reason in Reason if reason.cleared_by}

    assert {one for one in woken if one.startswith("Reason.")} == ended
    assert Reason.all_cleared_by(ClearedBy.DEPENDENT_FLOW) == (
        Reason.CHILD_FLOW_NOT_READY,
        Reason.PARENT_FLOW_NOT_READY,
    )


def test_a_reason_with_an_instruction_gives_it_unless_there_is_a_better_one() -> None:
    """Whoever knows more says more."""
    standing = JobBlocked("why", code=Reason.TRIGGER_CHANGED)
    better = JobBlocked("why", code=Reason.TRIGGER_CHANGED, fix="Do this.")

    assert standing.fix == Reason.TRIGGER_CHANGED.fix
    assert better.fix == "Do this."

import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cmkflow import timestamps
from cmkflow.status_command import format_status
from cmkflow.terminal import Terminal

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON = (NOW + timedelta(minutes=30)).isoformat()
LATER = (NOW + timedelta(days=6)).isoformat()
BLOCKED: dict[str, Any] = {
    "kind": "flows_blocked",
    "title": "7 flows blocked in Finance and operations of the northern region: owner",
    "reason_code": "owner_unavailable",
    "count": 7,
    "environment_id": "00000000-0000-4000-8000-000000000001",
    "environment_name": "Finance and operations of the northern region",
    "remediation_id": "00000000-0000-4000-8000-000000000002",
    "flows": ["Take orders", "Take returns"],
    "message": "Its owner has left.",
    "fix": "Name another owner.",
    "next_command": "cmkflow retry 00000000-0000-4000-8000-000000000002",
    "actor": "operator",
    "pending_since": (NOW - timedelta(days=3)).isoformat(),
    "expires_at": None,
}
PLAN = BLOCKED | {
    "kind": "plan_awaiting_approval",
    "reason_code": "",
    "flows": [],
    "expires_at": LATER,
}
ANSWER = {
    "pending_actions": [BLOCKED, PLAN],
    "environments": [
        {
            "environment_id": BLOCKED["environment_id"],
            "environment_name": BLOCKED["environment_name"],
            "remediation_id": BLOCKED["remediation_id"],
            "state": "running_flow_jobs",
            "flows": {"blocked": 7, "waiting": 30, "retired": 1200},
            "not_migrated": {"blocked": 7, "over_flow_limit": 2},
        }
    ],
    "flows": {"blocked": 7, "waiting": 30, "retired": 1200},
    "not_migrated": {"blocked": 7, "over_flow_limit": 2, "a_newer_reason": 1},
    "ongoing": [
        {
            "environment_id": BLOCKED["environment_id"],
            "environment_name": "Finance",
            "step": "updating_callers",
            "count": 30,
            "first_check_at": SOON,
            "last_check_at": LATER,
        }
    ],
    "unreadable_rows": [],
}
EMPTY: dict[str, Any] = {
    "pending_actions": [],
    "environments": [],
    "flows": {},
    "not_migrated": {},
    "ongoing": [],
    "unreadable_rows": [],
}


def render_status(answer: Any, monkeypatch: pytest.MonkeyPatch, width: int = 80) -> str:
    monkeypatch.setattr(timestamps, "now", lambda: NOW)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    terminal.file = io.StringIO()
    terminal.print(format_status(answer))
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.file.getvalue())


@pytest.mark.parametrize("width", [80, 160])
def test_status_shows_required_actions_and_automatic_steps(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is split over two lines cannot be copied."""
    text = render_status(ANSWER, monkeypatch, width)

    assert all(len(line) <= width for line in text.splitlines())
    assert re.match("Action required · 2 +updated 12:00 UTC\n", text)
    assert "\n1  7 flows blocked in Finance and operations of the northern region" in text
    assert "Take orders, Take returns, +5" in text
    assert "   Fix    Name another owner." in text
    assert f"   Then   {BLOCKED['next_command'][:22]}\n" in text
    assert "operator · since 2026-02-27 12:00 UTC" in " ".join(text.split())
    assert "expires in 6 days" in text
    assert "Not migrated: 10" in text
    assert "2 beyond the flow limit: start the next remediation" in text
    assert "1 a newer reason" in text
    assert re.search(r"updating_callers\s.*in 30 min", text)


def test_status_of_an_empty_tenant_shows_no_required_action(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = render_status(EMPTY, monkeypatch)

    assert text.startswith("No action required")


def test_first_line_counts_flows_not_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to decide about flows in progress and excluded flows."""
    left = {"over_flow_limit": 2, "in_progress": 3, "excluded": 1}
    text = render_status(EMPTY | {"not_migrated": left}, monkeypatch)

    assert text.startswith("No action required, 2 flows not migrated")

import re
from pathlib import Path

import pytest
from rich.console import Console

from cmkflow.kill_switch_commands import _format_health

AT = "2026-03-02T12:00:00Z"
QUEUES = {"waiting": 3, "requests_per_minute": 5, "remaining_today": 1200, "next_at": AT}
ANSWER = {
    "kill_switch_on": False,
    "poison_messages": 1,
    "dead_letters": {"flow-jobs": 2},
    "outages": [{"service": "dataverse", "endpoint": "contoso", "opened_at": AT}],
    "failing_channels": [
        {"channel": "teams", "notification_count": 1, "error": "404.", "fix": "Set its URL."}
    ],
    "request_queues": QUEUES,
    "plans_awaiting_approval": 1,
    "action_required_count": 1,
    "overdue_rows": 1,
    "without_wake_up": 1,
    "alert_counts": {"key_warning": 1},
    "last_daily_check_at": AT,
}


def render_health(answer: dict[str, object]) -> str:
    console = Console(width=200, file=None)
    with console.capture() as shown:
        console.print(_format_health(answer))
    return shown.get()


def test_runbook_names_lines_as_the_command_shows_them() -> None:
    """A person on call looks for the lines that the runbook quotes."""
    runbook = Path("docs/runbook.md").read_text()

    names = re.findall(r"\*([A-Z][^*]+)\* in `cmkflow health`", runbook)

    assert len(names) >= 6
    assert [name for name in names if f"{name}\t" not in render_health(ANSWER)] == []


@pytest.mark.parametrize(
    ("left", "text"),
    [(1200, "1,200 left today;"), (0, "the daily limit is used up;"), (None, "per minute;")],
)
def test_waiting_jobs_are_shown_with_the_requests_of_the_day(left: int | None, text: str) -> None:
    assert text in render_health({**ANSWER, "request_queues": {**QUEUES, "remaining_today": left}})

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.dashboard.environment_rows import (
    Situation,
    build_environment_row,
    sort_environment_rows,
)
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.environment_status import EnvironmentStatus
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
AT_WORK = Situation(now=NOW, next_check_at=NOW + timedelta(hours=3))
STOPPED = Situation(now=NOW, is_stopped=True)


def build_status(
    state: str = "completed", /, migrated: int = 0, **changes: Any
) -> EnvironmentStatus:
    values: dict[str, Any] = {
        "environment_id": "e",
        "environment_name": "Operations",
        "remediation_id": "r",
        "state": EnvironmentJobState(state),
        "mode": RemediationMode.APPLY,
        "is_assessment": False,
        "state_changed_at": None,
        "flows": {},
        "not_migrated": {},
        "both_off_count": 0,
        "blocked_since": None,
        "migrated_count": migrated,
        "prepared_count": 0,
    }
    return EnvironmentStatus(**values | changes)


REASON = NotMigratedReason


@pytest.mark.parametrize(
    ("one", "situation", "look", "state", "following"),
    [
        (
            build_status(
                "running_flow_jobs",
                20,
                not_migrated={REASON.BLOCKED: 5, REASON.NEEDS_CHANGES: 1},
                blocked_since=NOW - timedelta(days=3),
            ),
            AT_WORK,
            "person",
            "Blocked for 3 days",
            "5 blocked, 1 needs changes first",
        ),
        (build_status("failed"), AT_WORK, "person", "Failed", "The flows are not known yet"),
        (
            build_status(
                "running_flow_jobs", both_off_count=1, not_migrated={REASON.IN_PROGRESS: 1}
            ),
            AT_WORK,
            "person",
            "Original and copy both off",
            "1 in progress, next check in 3 h",
        ),
        (
            build_status("awaiting_approval", not_migrated={REASON.AWAITING_APPROVAL: 26}),
            AT_WORK,
            "wait",
            "Awaiting approval",
            "26 await approval",
        ),
        (
            build_status("running_flow_jobs", 9, not_migrated={REASON.IN_PROGRESS: 3}),
            STOPPED,
            "wait",
            "Paused",
            "3 wait for the kill switch",
        ),
        (build_status("discovering"), AT_WORK, "work", "Planning", "The flows are not known yet"),
        (
            build_status("cancelled"),
            AT_WORK,
            "over",
            "Cancelled",
            "Cancelled before its flows were known",
        ),
        (
            build_status("completed", 20, not_migrated={REASON.OVER_FLOW_LIMIT: 10}),
            AT_WORK,
            "wait",
            "Completed, 10 left",
            "10 beyond the flow limit",
        ),
        (build_status("completed", 30), AT_WORK, "done", "Completed", "Every flow is on your key"),
        (build_status("completed"), AT_WORK, "done", "Completed", "No flow has to be migrated"),
        (
            build_status(mode=RemediationMode.DRY_RUN, not_migrated={REASON.DRY_RUN: 8}),
            AT_WORK,
            "over",
            "Dry run completed",
            "8 not started, nothing was changed",
        ),
        (
            build_status(mode=RemediationMode.ASSESS, is_assessment=True),
            AT_WORK,
            "over",
            "Assessed",
            "Nothing was changed",
        ),
        (
            build_status("cancelled", not_migrated={REASON.CANCELLED: 2}),
            AT_WORK,
            "wait",
            "Cancelled",
            "2 cancelled",
        ),
    ],
)
def test_row_contains_the_state_and_the_next_step(
    one: EnvironmentStatus, situation: Situation, look: str, state: str, following: str
) -> None:
    row = build_environment_row(one, situation)

    assert (row.look, row.state, row.next) == (look, state, following)


def test_parts_of_the_bar_add_up_to_all_flows() -> None:
    left = dict.fromkeys(NotMigratedReason, 1)

    row = build_environment_row(
        build_status("completed", 7, not_migrated=left, prepared_count=2), AT_WORK
    )

    assert sum(number for _, number in row.parts) == row.flow_count == 9 + len(NotMigratedReason)
    assert dict(row.parts) == {"done": 7, "over": 12, "wait": 1, "person": 2}


def test_rows_that_require_an_action_are_sorted_first() -> None:
    rows = [
        build_environment_row(build_status(environment_name="Team 10"), AT_WORK),
        build_environment_row(build_status("failed", environment_name="Zoo"), AT_WORK),
        build_environment_row(build_status(environment_name="team 2"), AT_WORK),
    ]

    assert [row.name for row in sort_environment_rows(rows)] == ["Zoo", "team 2", "Team 10"]

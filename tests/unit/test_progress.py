from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.progress import compute_progress
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENT_JOB = EnvironmentJob(
    id="e", remediation_id="r", environment_id="env", mode=RemediationMode.APPLY
)


@pytest.mark.parametrize(
    ("environments", "flows", "state"),
    [
        ("", "", "planning"),
        ("waiting_for_platform_migration", "", "planning"),
        ("planned cancelled", "", "planning"),
        ("awaiting_approval running_flow_jobs", "waiting", "awaiting_approval"),
        ("running_flow_jobs", "blocked", "in_progress"),
        ("running_flow_jobs blocked", "checking_for_calls", "in_progress"),
        ("completed", "rolling_back", "in_progress"),
        ("completed", "retired failed", "blocked"),
        ("completed blocked", "retired", "blocked"),
        ("completed cancelled", "retired", "completed"),
        ("completed", "", "completed"),
        ("cancelled", "", "cancelled"),
    ],
)
def test_remediation_state_is_derived_from_its_jobs(
    environments: str, flows: str, state: str
) -> None:
    environment_jobs = [
        replace(ENVIRONMENT_JOB, state=EnvironmentJobState(one)) for one in environments.split()
    ]
    jobs = [replace(FLOW_JOB, state=FlowJobState(one)) for one in flows.split()]

    assert compute_progress(environment_jobs, jobs).state == state


def test_progress_has_counts_of_jobs_and_the_next_check() -> None:
    """The check of an environment job that only watches flow jobs does not count."""
    watching = replace(
        ENVIRONMENT_JOB, state=EnvironmentJobState.RUNNING_FLOW_JOBS, next_check_at=NOW
    )
    blocked = replace(ENVIRONMENT_JOB, state=EnvironmentJobState.BLOCKED)
    jobs = [
        replace(
            FLOW_JOB, state=FlowJobState.CHECKING_FOR_CALLS, next_check_at=NOW + timedelta(days=2)
        ),
        replace(
            FLOW_JOB, state=FlowJobState.CHECKING_FOR_CALLS, next_check_at=NOW + timedelta(days=1)
        ),
        replace(FLOW_JOB, state=FlowJobState.FAILED),
    ]

    progress = compute_progress([watching, blocked], jobs)

    assert progress.environment_states == {"blocked": 1, "running_flow_jobs": 1}
    assert progress.flow_states == {"failed": 1, "checking_for_calls": 2}
    assert progress.action_required_count == 2
    assert progress.next_check_at == NOW + timedelta(days=1)
    assert compute_progress([watching], []).next_check_at is None


def test_expiry_of_a_plan_is_not_the_next_check() -> None:
    state = EnvironmentJobState.AWAITING_APPROVAL
    later = NOW + timedelta(days=7)
    asked = replace(ENVIRONMENT_JOB, state=state, next_check_at=later, approval_expires_at=later)

    progress = compute_progress([asked], [])

    assert progress.next_check_at is None
    assert progress.approval_expires_at == later


def test_every_flow_on_microsofts_key_is_counted_once_by_its_reason() -> None:
    counts = {
        "copy": 3,
        "cut_over": 1,
        "continue_existing_job": 2,
        "needs_changes": 5,
        "no_change": 9,
    }
    planned = replace(
        ENVIRONMENT_JOB,
        planned_action_counts=counts,
        not_migrated={"needs_changes": 5, "over_flow_limit": 9},
    )
    state = EnvironmentJobState.AWAITING_APPROVAL
    asked = replace(planned, state=state, awaiting_approval_count=6)
    approved = replace(planned, state=EnvironmentJobState.APPROVED)
    dispatched = replace(
        planned, state=EnvironmentJobState.RUNNING_FLOW_JOBS, has_started_flow_jobs=True
    )
    states = (
        FlowJobState.CHECKING_FOR_CALLS,
        FlowJobState.WAITING,
        FlowJobState.BLOCKED,
        FlowJobState.FAILED,
        FlowJobState.RETIRED,
    )
    jobs = [replace(FLOW_JOB, state=one) for one in states]

    assert compute_progress([asked], []).not_migrated == {
        "needs_changes": 5,
        "awaiting_approval": 4,
        "over_flow_limit": 9,
    }
    assert compute_progress([approved], []).not_migrated == {
        "needs_changes": 5,
        "in_progress": 4,
        "over_flow_limit": 9,
    }
    assert compute_progress([dispatched], jobs).not_migrated == {
        "blocked": 1,
        "failed": 1,
        "needs_changes": 5,
        "in_progress": 2,
        "over_flow_limit": 9,
    }


@pytest.mark.parametrize(
    ("awaiting", "hours", "reason"),
    [(6, -1, "cancelled"), (6, 0, "approval_expired"), (0, -1, "cancelled")],
)
def test_flows_of_a_plan_cancelled_before_its_jobs_start_are_counted(
    awaiting: int, hours: int, reason: str
) -> None:
    ended = HistoryEntry(changed_at=NOW + timedelta(hours=hours), state="cancelled", message="")
    job = replace(
        ENVIRONMENT_JOB,
        state=EnvironmentJobState.CANCELLED,
        planned_action_counts={"copy": 6, "needs_changes": 1},
        awaiting_approval_count=awaiting,
        approval_expires_at=NOW,
        history=(ended,),
    )

    assert compute_progress([job], []).not_migrated == {reason: 6}

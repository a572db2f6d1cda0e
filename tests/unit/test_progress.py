"""How far a remediation is, from its jobs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

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
        ("waiting_for_migration", "", "planning"),
        ("planned cancelled", "", "planning"),
        ("awaiting_approval dispatched", "waiting", "awaiting_approval"),
        ("dispatched", "blocked", "running"),
        ("dispatched blocked", "quiet", "running"),
        ("finished", "rolling_back", "running"),
        ("finished", "retired failed", "stuck"),
        ("finished blocked", "retired", "stuck"),
        ("finished cancelled", "retired", "finished"),
        ("finished", "", "finished"),
        ("cancelled", "", "cancelled"),
    ],
)
def test_the_state_follows_from_the_jobs(environments: str, flows: str, state: str) -> None:
    """What a person is asked for comes first, then what goes on, then what went wrong."""
    environment_jobs = [
        replace(ENVIRONMENT_JOB, state=EnvironmentJobState(one)) for one in environments.split()
    ]
    jobs = [replace(FLOW_JOB, state=FlowJobState(one)) for one in flows.split()]

    assert compute_progress(environment_jobs, jobs).state == state


def test_jobs_are_counted_and_the_next_moment_named() -> None:
    """An environment job that only watches its flow jobs does not say when something happens."""
    watching = replace(ENVIRONMENT_JOB, state=EnvironmentJobState.DISPATCHED, due=NOW)
    blocked = replace(ENVIRONMENT_JOB, state=EnvironmentJobState.BLOCKED)
    jobs = [
        replace(FLOW_JOB, state=FlowJobState.QUIET, due=NOW + timedelta(days=2)),
        replace(FLOW_JOB, state=FlowJobState.QUIET, due=NOW + timedelta(days=1)),
        replace(FLOW_JOB, state=FlowJobState.FAILED),
    ]

    progress = compute_progress([watching, blocked], jobs)

    assert progress.environments == {"blocked": 1, "dispatched": 1}
    assert progress.flows == {"failed": 1, "quiet": 2}
    assert progress.stuck == 2
    assert progress.next_due == NOW + timedelta(days=1)
    assert compute_progress([watching], []).next_due is None


def test_the_expiry_of_a_plan_is_no_next_step() -> None:
    """The app does nothing by itself while a plan awaits approval."""
    state = EnvironmentJobState.AWAITING_APPROVAL
    later = NOW + timedelta(days=7)
    asked = replace(ENVIRONMENT_JOB, state=state, due=later, expires=later)

    progress = compute_progress([asked], [])

    assert progress.next_due is None
    assert progress.expires == later


def test_every_flow_on_the_key_of_microsoft_is_counted_once_by_why() -> None:
    """Flows in progress, those that are to begin, and those that need changes among them."""
    counts = {"copy": 3, "swap": 1, "adopt": 2, "blocked": 5, "leave": 9}
    planned = replace(ENVIRONMENT_JOB, counts=counts, left={"needs_changes": 5, "limit": 9})
    state = EnvironmentJobState.AWAITING_APPROVAL
    asked = replace(planned, state=state, awaiting=6)
    approved = replace(planned, state=EnvironmentJobState.APPROVED)
    dispatched = replace(planned, state=EnvironmentJobState.DISPATCHED, is_dispatched=True)
    states = (
        FlowJobState.QUIET,
        FlowJobState.WAITING,
        FlowJobState.BLOCKED,
        FlowJobState.FAILED,
        FlowJobState.RETIRED,
    )
    jobs = [replace(FLOW_JOB, state=one) for one in states]

    assert compute_progress([asked], []).left == {
        "needs_changes": 5,
        "awaiting_approval": 4,
        "limit": 9,
    }
    assert compute_progress([approved], []).left == {
        "needs_changes": 5,
        "in_progress": 4,
        "limit": 9,
    }
    assert compute_progress([dispatched], jobs).left == {
        "blocked": 1,
        "failed": 1,
        "needs_changes": 5,
        "in_progress": 2,
        "limit": 9,
    }


def test_a_row_of_an_earlier_version_calls_flows_that_need_changes_blocked() -> None:
    """They are counted under their own name."""
    older = replace(ENVIRONMENT_JOB, state=EnvironmentJobState.FINISHED, left={"blocked": 2})

    assert compute_progress([older], []).left == {"needs_changes": 2}

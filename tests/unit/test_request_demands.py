from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.jobs.flow_job import FlowJob, JobCommand, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.jobs.request_demands import estimate_flow_job_demand
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def format_rank(job: FlowJob) -> str:
    need = estimate_flow_job_demand(job)
    assert need is not None
    return f"{need.priority}-{need.job_id}"


def build_job(state: FlowJobState, **changes: object) -> FlowJob:
    return replace(FLOW_JOB, **{"id": "a", "state": state, **changes})  # type: ignore[arg-type]


def test_rollbacks_are_first_and_planned_jobs_last_in_the_queue() -> None:
    back = build_job(FlowJobState.ROLLING_BACK)
    ordered = build_job(FlowJobState.CHECKING_FOR_CALLS, requested_command=JobCommand.ROLL_BACK)
    line = [
        build_job(FlowJobState.PLANNED),
        build_job(FlowJobState.COPYING),
        build_job(FlowJobState.COPIED),
        build_job(FlowJobState.CHECKING_FOR_CALLS),
    ]

    ranks = [format_rank(job) for job in (*line, ordered)]

    assert ranks == sorted(ranks, reverse=True)
    assert format_rank(back) == format_rank(ordered)


def test_waiting_job_has_the_demand_of_its_resume_state() -> None:
    waits = build_job(FlowJobState.WAITING, resume_state=FlowJobState.COPIED)

    assert estimate_flow_job_demand(waits) == estimate_flow_job_demand(
        build_job(FlowJobState.COPIED)
    )


def test_dependent_flows_are_adjacent_in_the_queue() -> None:
    parent, other = (
        replace(build_job(FlowJobState.PLANNED), id="c"),
        replace(build_job(FlowJobState.PLANNED), id="b"),
    )
    child = replace(build_job(FlowJobState.PLANNED), id="a", parents=("c",))

    line = sorted((parent, other, child), key=format_rank)

    assert [job.id for job in line] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "job",
    [
        build_job(FlowJobState.CUTTING_OVER, migration_method=MigrationMethod.CUT_OVER),
        build_job(FlowJobState.ROLLING_BACK, both_off_since=NOW),
    ],
)
def test_job_with_both_flows_possibly_off_is_urgent_and_needs_no_reservation(job: FlowJob) -> None:
    need = estimate_flow_job_demand(job)

    assert need is not None
    assert (need.requests, need.is_urgent) == (0, True)


def test_planned_job_is_cancelled_without_a_request() -> None:
    """A job that has not begun has nothing to revert."""
    assert (
        estimate_flow_job_demand(
            build_job(FlowJobState.PLANNED, requested_command=JobCommand.CANCEL)
        )
        is None
    )


def test_verification_needs_the_most_requests() -> None:
    """A verification reads the trigger URLs of original and copy."""
    called = {
        state: estimate_flow_job_demand(build_job(state))
        for state in (FlowJobState.PLANNED, FlowJobState.COPIED)
    }
    swapped = estimate_flow_job_demand(
        build_job(
            FlowJobState.COPIED,
            original=replace(FLOW_JOB.original, has_trigger_url=False),
            migration_method=MigrationMethod.CUT_OVER,
        )
    )

    assert [need.requests for need in called.values() if need] == [1, 3]
    assert swapped is not None
    assert swapped.requests == 0


def test_job_with_an_active_grant_is_first() -> None:
    """Such a job must revoke the co-ownership of the service account."""
    with_grant = estimate_flow_job_demand(
        build_job(FlowJobState.COPIED, grants=Grants(active=("flow",)))
    )

    assert with_grant is not None
    assert with_grant.is_urgent
    assert with_grant.priority < format_rank(build_job(FlowJobState.CHECKING_FOR_CALLS))

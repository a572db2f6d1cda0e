"""Which delivery has calls of the flow service first, and which waits for none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.jobs.flow_job import FlowJob, JobCommand, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.jobs.request_demands import flow_job_demand
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def rank(job: FlowJob) -> str:
    """Return where a job stands in the line."""
    need = flow_job_demand(job)
    assert need is not None
    return f"{need.priority}-{need.job_id}"


def at(state: FlowJobState, **changes: object) -> FlowJob:
    """Return a called flow that got so far."""
    return replace(FLOW_JOB, **{"id": "a", "state": state, "has_trigger_url": True, **changes})  # type: ignore[arg-type]


def test_what_is_on_its_way_back_goes_first_and_what_is_not_begun_last() -> None:
    """In between, who is furthest along."""
    back = at(FlowJobState.ROLLING_BACK)
    ordered = at(FlowJobState.CHECKING_FOR_CALLS, requested_command=JobCommand.ROLL_BACK)
    line = [
        at(FlowJobState.PLANNED),
        at(FlowJobState.COPYING),
        at(FlowJobState.COPIED),
        at(FlowJobState.CHECKING_FOR_CALLS),
    ]

    ranks = [rank(job) for job in (*line, ordered)]

    assert ranks == sorted(ranks, reverse=True)
    assert rank(back) == rank(ordered)


def test_a_job_that_waits_stands_where_it_got_to() -> None:
    """Its state says only that it waits."""
    waits = at(FlowJobState.WAITING, resume_state=FlowJobState.COPIED)

    assert flow_job_demand(waits) == flow_job_demand(at(FlowJobState.COPIED))


def test_a_family_stands_together() -> None:
    """A child beside its parent, whatever the ids of others."""
    parent, other = (
        replace(at(FlowJobState.PLANNED), id="c"),
        replace(at(FlowJobState.PLANNED), id="b"),
    )
    child = replace(at(FlowJobState.PLANNED), id="a", parents=("c",))

    line = sorted((parent, other, child), key=rank)

    assert [job.id for job in line] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "job",
    [
        at(FlowJobState.CUTTING_OVER, migration_method=MigrationMethod.CUT_OVER),
        at(FlowJobState.ROLLING_BACK, both_off_since=NOW),
    ],
)
def test_what_may_have_neither_flow_on_waits_for_nobody(job: FlowJob) -> None:
    """And what is kept of an hour's writes is for it."""
    need = flow_job_demand(job)

    assert need is not None
    assert (need.requests, need.is_urgent) == (0, True)


def test_a_job_that_was_not_begun_is_cancelled_without_a_call() -> None:
    """There is nothing to be undone."""
    assert flow_job_demand(at(FlowJobState.PLANNED, requested_command=JobCommand.CANCEL)) is None


def test_a_proof_takes_most_calls() -> None:
    """Both trigger URLs are read for it; of what starts by itself there is none."""
    called = {
        state: flow_job_demand(at(state)) for state in (FlowJobState.PLANNED, FlowJobState.COPIED)
    }
    swapped = flow_job_demand(
        at(FlowJobState.COPIED, has_trigger_url=False, migration_method=MigrationMethod.CUT_OVER)
    )

    assert [need.requests for need in called.values() if need] == [1, 3]
    assert swapped is not None
    assert swapped.requests == 0


def test_a_job_that_has_borrowed_goes_first() -> None:
    """The operator's co-ownership is returned before anything else is called."""
    borrowed = flow_job_demand(at(FlowJobState.COPIED, active_grants=("flow",)))

    assert borrowed is not None
    assert borrowed.is_urgent
    assert borrowed.priority < rank(at(FlowJobState.CHECKING_FOR_CALLS))

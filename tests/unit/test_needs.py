"""Which delivery has calls of the flow service first, and which waits for none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.jobs.flow_job import FlowJob, Order, Pattern
from shared.domain.jobs.flow_states import JobState
from shared.jobs.request_demands import flow_needs
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def rank(job: FlowJob) -> str:
    """Return where a job stands in the line."""
    need = flow_needs(job)
    assert need is not None
    return f"{need.rank}-{need.whose}"


def at(state: JobState, **changes: object) -> FlowJob:
    """Return a called flow that got so far."""
    return replace(FLOW_JOB, **{"id": "a", "state": state, "has_trigger_url": True, **changes})  # type: ignore[arg-type]


def test_what_is_on_its_way_back_goes_first_and_what_is_not_begun_last() -> None:
    """In between, who is furthest along."""
    back = at(JobState.ROLLING_BACK)
    ordered = at(JobState.QUIET, requested=Order.ROLL_BACK)
    line = [at(JobState.PLANNED), at(JobState.COPYING), at(JobState.COPIED), at(JobState.QUIET)]

    ranks = [rank(job) for job in (*line, ordered)]

    assert ranks == sorted(ranks, reverse=True)
    assert rank(back) == rank(ordered)


def test_a_job_that_waits_stands_where_it_got_to() -> None:
    """Its state says only that it waits."""
    waits = at(JobState.WAITING, resume=JobState.COPIED)

    assert flow_needs(waits) == flow_needs(at(JobState.COPIED))


def test_a_family_stands_together() -> None:
    """A child beside its parent, whatever the ids of others."""
    parent, other = replace(at(JobState.PLANNED), id="c"), replace(at(JobState.PLANNED), id="b")
    child = replace(at(JobState.PLANNED), id="a", parents=("c",))

    line = sorted((parent, other, child), key=rank)

    assert [job.id for job in line] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "job",
    [
        at(JobState.SWAPPING, pattern=Pattern.SWAP),
        at(JobState.ROLLING_BACK, neither_since=NOW),
    ],
)
def test_what_may_have_neither_flow_on_waits_for_nobody(job: FlowJob) -> None:
    """And what is kept of an hour's writes is for it."""
    need = flow_needs(job)

    assert need is not None
    assert (need.calls, need.is_urgent) == (0, True)


def test_a_job_that_was_not_begun_is_cancelled_without_a_call() -> None:
    """There is nothing to be undone."""
    assert flow_needs(at(JobState.PLANNED, requested=Order.CANCEL)) is None


def test_a_proof_takes_most_calls() -> None:
    """Both trigger URLs are read for it; of what starts by itself there is none."""
    called = {state: flow_needs(at(state)) for state in (JobState.PLANNED, JobState.COPIED)}
    swapped = flow_needs(at(JobState.COPIED, has_trigger_url=False, pattern=Pattern.SWAP))

    assert [need.calls for need in called.values() if need] == [1, 3]
    assert swapped is not None
    assert swapped.calls == 0


def test_a_job_that_has_borrowed_goes_first() -> None:
    """The operator's co-ownership is returned before anything else is called."""
    borrowed = flow_needs(at(JobState.COPIED, borrowed=("flow",)))

    assert borrowed is not None
    assert borrowed.is_urgent
    assert borrowed.rank < rank(at(JobState.QUIET))

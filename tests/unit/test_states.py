import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from shared.domain.jobs.deletion_states import DELETION_STATES, DeletionState
from shared.domain.jobs.durable_job import HISTORY_LENGTH
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES, EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES, ExpectedFlowState, FlowJobState
from shared.domain.jobs.remediation_states import REMEDIATION_STATES, RemediationState
from shared.domain.jobs.state_machine import InvalidTransition, StateProperties, require_transition
from shared.domain.jobs.transitions import wait_until, with_history, with_request_count
from shared.reason import Reason
from shared.state.rows import get_row_adapter
from shared.use_cases import run_environment_job, run_flow_job
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLES: Mapping[type[StrEnum], Mapping[Any, StateProperties]] = {
    FlowJobState: FLOW_STATES,
    EnvironmentJobState: ENVIRONMENT_STATES,
    DeletionState: DELETION_STATES,
    RemediationState: REMEDIATION_STATES,
}


@pytest.mark.parametrize("states", TABLES, ids=lambda states: states.__name__)
def test_every_state_has_a_row(states: type[StrEnum]) -> None:
    assert list(TABLES[states]) == list(states)


@pytest.mark.parametrize(
    ("states", "find_step"),
    [
        (FlowJobState, run_flow_job.find_step),
        (EnvironmentJobState, run_environment_job.STEPS.__getitem__),
    ],
)
def test_every_open_state_has_exactly_one_step(
    states: type[StrEnum], find_step: Callable[[Any], object]
) -> None:
    """An open state without a step would raise an error."""
    for state, facts in TABLES[states].items():
        if facts.is_inactive or facts.resumes_later:
            with pytest.raises(LookupError):
                find_step(state)
        else:
            assert find_step(state)


@pytest.mark.parametrize("state", FlowJobState)
def test_properties_of_a_state_are_consistent(state: FlowJobState) -> None:
    facts = FLOW_STATES[state]

    assert not (facts.next and facts.is_inactive)
    assert facts.resume_state_after_edit is None or facts.resume_state_after_edit in facts.next
    assert facts.resumes_later or facts.next or facts.is_inactive
    assert facts.is_proceeding or not facts.is_verified
    assert not (facts.is_verified and facts.copy is ExpectedFlowState.NONE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FlowJobState.PLANNED, FlowJobState.VERIFIED),  # a flow without a copy cannot be verified
        (FlowJobState.PLANNED, FlowJobState.ROLLING_BACK),  # there is nothing to roll back
        (FlowJobState.UPDATING_CALLERS, FlowJobState.RETIRED),  # without a no-call period
        (FlowJobState.RETIRED, FlowJobState.BLOCKED),  # a completed job does not pause
        (FlowJobState.ROLLED_BACK, FlowJobState.COPYING),
    ],
)
def test_a_transition_that_is_not_in_the_table_raises(
    before: FlowJobState, after: FlowJobState
) -> None:
    with pytest.raises(InvalidTransition, match=f"{before} -> {after}"):
        require_transition(FLOW_STATES, before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FlowJobState.VERIFIED, FlowJobState.CUTTING_OVER),
        (FlowJobState.VERIFIED, FlowJobState.VERIFIED),  # a retry continues with the same step
        (FlowJobState.ROLLING_BACK, FlowJobState.BLOCKED),
        (FlowJobState.RETIRED, FlowJobState.ROLLING_BACK),
    ],
)
def test_transition_in_the_table_is_accepted(before: FlowJobState, after: FlowJobState) -> None:
    require_transition(FLOW_STATES, before, after)


RETIRED = replace(FLOW_JOB, state=FlowJobState.RETIRED)


def test_inactive_job_that_waits_stays_inactive() -> None:
    """For example, a request about a retired job may meet a busy service."""
    soon = NOW + timedelta(minutes=1)
    later = wait_until(RETIRED, "busy", until=soon, now=NOW, code=Reason.RETRIES_EXHAUSTED)

    assert (later.state, later.resume_state, later.next_check_at) == (
        FlowJobState.RETIRED,
        None,
        soon,
    )


@pytest.mark.parametrize("state", [FlowJobState.PREPARING, FlowJobState.PREPARED])
def test_flow_that_was_changed_in_place_has_no_calling_copy(state: FlowJobState) -> None:
    assert replace(RETIRED, state=state).state_properties.is_copy_off


def with_lines(job: FlowJob, *texts: str) -> FlowJob:
    """Return the job with these history entries, all at the same time."""
    for text in texts:
        job = with_history(job, "copying", text, now=NOW)
    return job


def list_request_counts(job: FlowJob) -> list[tuple[str, int]]:
    return [(line.message, line.requests) for line in job.history]


def test_requests_count_for_the_latest_entry_at_their_time() -> None:
    """The requests of an invocation belong to the newest entry at the time when they were sent."""
    first = with_lines(replace(FLOW_JOB, history=()), "a", "b")
    kept = with_request_count(first, first, 2)

    assert list_request_counts(kept) == [("a", 0), ("b", 2)]
    assert list_request_counts(with_request_count(with_lines(first, "c"), kept, 3)) == [
        ("a", 0),
        ("b", 5),
        ("c", 0),
    ]
    assert list_request_counts(with_request_count(with_lines(kept, "b"), kept, 1)) == [
        ("a", 0),
        ("b", 3),
        ("b", 0),
    ]


@pytest.mark.parametrize("more", [1, HISTORY_LENGTH])
def test_requests_of_a_full_history_stay_with_their_entries(more: int) -> None:
    full = with_lines(FLOW_JOB, *map(str, range(HISTORY_LENGTH)))
    after = with_request_count(with_lines(full, *["new"] * more), full, 7)

    assert len(after.history) == HISTORY_LENGTH
    last = (str(HISTORY_LENGTH - 1), 7)
    assert (last in list_request_counts(after)) == (more < HISTORY_LENGTH)
    assert sum(line.requests for line in after.history) == (7 if more < HISTORY_LENGTH else 0)


def test_history_without_request_counts_is_readable() -> None:
    """An earlier version of the app stored no counts."""
    rows = get_row_adapter(FlowJob)
    row = json.loads(rows.dump_json(with_lines(FLOW_JOB, "a")))
    for line in row["history"]:
        del line["requests"]

    assert list_request_counts(rows.validate_json(json.dumps(row)))[-1] == ("a", 0)

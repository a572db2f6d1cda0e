"""The tables of states: every state has its row, and every row says what can be."""

import pytest

from shared.domain.jobs.flow_states import FLOW_STATES, JobState, Standing
from shared.domain.jobs.state_table import Actor, ForbiddenTransition, check_transition
from shared.use_cases.run_flow_job import STEPS


def test_every_state_of_a_flow_job_has_its_row() -> None:
    """Whoever adds a state answers what the table asks; the order is that of the work."""
    assert list(FLOW_STATES) == list(JobState)


def test_the_app_acts_where_there_is_a_step_and_nowhere_else() -> None:
    """A state without a step would raise at each delivery; a step without its state is dead."""
    acts = {s for s, facts in FLOW_STATES.items() if facts.acts is Actor.APP and not facts.is_pause}

    assert STEPS.keys() == acts


@pytest.mark.parametrize("state", JobState)
def test_what_a_table_says_of_a_state_fits_together(state: JobState) -> None:
    """An end leads nowhere by itself; an accepted edit goes where the work may go."""
    facts = FLOW_STATES[state]

    assert not (facts.next and facts.is_finished)
    assert facts.after_edit is None or facts.after_edit in facts.next
    assert facts.is_pause or facts.next or facts.is_finished
    assert facts.is_live or not facts.is_proven
    assert not (facts.is_proven and facts.copy is Standing.NONE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (JobState.PLANNED, JobState.PROVEN),  # what is not copied is not proven
        (JobState.PLANNED, JobState.ROLLING_BACK),  # nothing was begun
        (JobState.UPDATING_CALLERS, JobState.RETIRED),  # without a quiet period
        (JobState.RETIRED, JobState.BLOCKED),  # an end does not pause
        (JobState.ROLLED_BACK, JobState.COPYING),
    ],
)
def test_a_transition_that_is_not_in_the_table_raises(before: JobState, after: JobState) -> None:
    """It is a defect, and it names both states."""
    with pytest.raises(ForbiddenTransition, match=f"{before} -> {after}"):
        check_transition(FLOW_STATES, before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (JobState.PROVEN, JobState.SWAPPING),
        (JobState.PROVEN, JobState.PROVEN),  # a retry goes on where it was
        (JobState.ROLLING_BACK, JobState.BLOCKED),
        (JobState.RETIRED, JobState.ROLLING_BACK),
    ],
)
def test_what_the_table_says_may_be(before: JobState, after: JobState) -> None:
    """Steps, pauses of open work, the way back."""
    check_transition(FLOW_STATES, before, after)

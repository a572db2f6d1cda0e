from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.jobs.deletion import (
    Deletion,
    DeletionApproval,
    build_new_deletion,
    describe_consequences,
    find_earliest_delete_at,
    find_retired_at,
    mark_archiving,
    mark_cancelled,
    mark_deleted,
    mark_deleting,
    with_rescheduling_fix,
)
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.flow_job import FlowJob, Observation
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import RunArchive, RunArchiveState, reopen_archive
from shared.domain.jobs.transitions import stop_with_reason, wait_until, with_history
from shared.reason import Reason
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
APPROVAL = DeletionApproval(
    delete_at=NOW + 10 * DAY, approved_by="admin@contoso.example", approved_at=NOW
)


def build_job(state: FlowJobState = FlowJobState.RETIRED) -> FlowJob:
    return with_history(replace(FLOW_JOB, state=state), state, "So it is.", now=NOW)


def build_deletion(job: FlowJob | None = None) -> Deletion:
    return build_new_deletion(job or build_job(), APPROVAL, None)


def test_retired_at_returns_the_time_of_the_last_retirement() -> None:
    job = build_job()
    lines = (
        HistoryEntry(
            changed_at=NOW - 9 * DAY, state=FlowJobState.RETIRED, message="before a rollback"
        ),
        HistoryEntry(
            changed_at=NOW - 8 * DAY, state=FlowJobState.ROLLED_BACK, message="rolled back"
        ),
        *job.history,
        HistoryEntry(changed_at=NOW + DAY, state=FlowJobState.RETIRED, message="a note"),
    )

    assert find_retired_at(replace(job, history=lines)) == NOW


@pytest.mark.parametrize("state", sorted(set(FlowJobState) - {FlowJobState.RETIRED}))
def test_job_that_is_not_retired_has_no_delete_date(state: FlowJobState) -> None:
    assert find_retired_at(build_job(state)) is None
    assert find_earliest_delete_at(build_job(state), delay=DAY, quiet=DAY) is None


@pytest.mark.parametrize(
    ("delay", "quiet", "own", "days"), [(7, 3, 0, 7), (7, 9, 0, 9), (7, 3, 12, 12)]
)
def test_earliest_deletion_date_uses_the_longest_period(
    delay: int, quiet: int, own: int, days: int
) -> None:
    job = replace(build_job(), observation=Observation(no_call_period=own * DAY or None))

    assert find_earliest_delete_at(job, delay=delay * DAY, quiet=quiet * DAY) == NOW + days * DAY


def test_scheduled_deletion_records_its_retirement_and_approver() -> None:
    deletion = build_deletion()

    assert (deletion.state, deletion.next_check_at) == (DeletionState.SCHEDULED, APPROVAL.delete_at)
    assert (deletion.approved_by, deletion.retired_at) == (APPROVAL.approved_by, NOW)
    assert APPROVAL.approved_by in deletion.history[-1].message


@pytest.mark.parametrize(
    ("code", "accepts"), [("original_edited", True), ("retired_original_on", False)]
)
def test_rescheduled_deletion_accepts_edits_only_if_an_edit_had_blocked_it(
    code: str, *, accepts: bool
) -> None:
    """Only then has the person who schedules the deletion again seen the edit."""
    earlier = stop_with_reason(
        build_deletion(), DeletionState.BLOCKED, "why", "what to do", code=code, now=NOW
    )

    again = build_new_deletion(build_job(), APPROVAL, earlier)

    assert again.accepts_original_edits is accepts
    assert again.history[: len(earlier.history)] == earlier.history


def test_restore_period_begins_at_the_first_delete_request() -> None:
    """The first delete may have succeeded although the app crashed."""
    first = mark_deleting(mark_archiving(build_deletion(), now=NOW), now=NOW)
    second = mark_deleting(first, now=NOW + DAY)

    assert second.restorable_until == NOW + 21 * DAY
    assert mark_deleted(second, now=NOW + DAY).state is DeletionState.DELETED


def test_blocked_deletion_has_no_restore_date_and_no_next_check() -> None:
    made = mark_deleting(mark_archiving(build_deletion(), now=NOW), now=NOW)
    text = "Allow it, then retry."
    row = with_rescheduling_fix(
        stop_with_reason(
            made, DeletionState.BLOCKED, "why", text, code="environment_read_only", now=NOW
        )
    )

    assert row.fix == "Allow it, then schedule the deletion again."
    assert (row.restorable_until, row.next_check_at, row.is_open) == (None, None, False)


def test_missing_original_is_reported_as_deleted_by_another_person() -> None:
    """Somebody else has deleted the original before the app stored its intent."""
    row = mark_deleted(mark_archiving(build_deletion(), now=NOW), now=NOW)

    assert "somebody else" in row.message
    assert row.restorable_until is None


def test_waiting_for_the_same_again_adds_no_history_entry() -> None:
    row = wait_until(
        build_deletion(), "A run goes.", until=NOW + DAY, now=NOW, code=Reason.FLOW_RUN_IN_PROGRESS
    )
    again = wait_until(
        row, "A run goes.", until=NOW + 2 * DAY, now=NOW, code=Reason.ARCHIVING_FLOW_RUNS
    )

    assert again.history == row.history
    assert (again.next_check_at, again.reason_code) == (NOW + 2 * DAY, Reason.ARCHIVING_FLOW_RUNS)
    assert mark_cancelled(again, "kept", now=NOW).next_check_at is None


def test_consequences_of_a_deletion_depend_on_the_flow() -> None:
    job = build_job()
    called = describe_consequences(job)
    original = replace(job.original, has_trigger_url=False, in_solution=False)
    outside = describe_consequences(replace(job, original=original))

    assert any("trigger URL" in one for one in called)
    assert not any("trigger URL" in one for one in outside)
    assert any("The app can restore it" in one for one in outside)


def test_reopened_archive_begins_where_the_first_archive_ended() -> None:
    """The second archive keeps the files of the first one."""
    first = RunArchive(
        environment_id="e",
        job_id="j",
        remediation_id="r",
        flow_name="f",
        display_name="d",
        started_at=NOW,
        state=RunArchiveState.COMPLETED,
        runs=7,
        parts=("one",),
    )

    second = reopen_archive(first, now=NOW + DAY)

    assert first.begins_at == NOW - 28 * DAY
    assert NOW < second.begins_at < NOW + timedelta(seconds=1)
    assert (second.state, second.own_run_count, second.parts) == (
        RunArchiveState.IN_PROGRESS,
        0,
        ("one",),
    )
    assert second.fraction_complete == 0

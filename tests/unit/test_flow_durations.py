from dataclasses import replace
from datetime import UTC, datetime, timedelta

from functions.dashboard.flow_durations import StepDuration, list_step_durations
from functions.dashboard.flow_path import build_flow_path, explain_why_original_is_on
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.html_pages import format_moment
from tests.unit.test_planned_changes import CONFIRMED, ORIGINAL, build_job

WAS_ON = replace(ORIGINAL, was_on=True)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def with_history(work: FlowJob, *entries: tuple[int, str, int]) -> FlowJob:
    """Return the job with a history. Each entry has a minute, a state and a number of requests."""
    history = tuple(
        HistoryEntry(
            changed_at=START + timedelta(minutes=at), state=state, message="", requests=requests
        )
        for at, state, requests in entries
    )
    return replace(work, history=history)


def compute_steps(work: FlowJob, now: int) -> dict[str, StepDuration]:
    """Return the durations by the title of the step, `now` minutes after the start."""
    return {one.title: one for one in list_step_durations(work, START + timedelta(minutes=now))}


def test_pause_counts_for_the_interrupted_step() -> None:
    work = with_history(
        build_job(FlowJobState.BLOCKED, resume_state=FlowJobState.COPIED),
        (0, "planned", 0), (10, "copying", 7), (20, "copied", 2), (25, "waiting", 1),
        (30, "copied", 3), (40, "blocked", 0),
    )  # fmt: skip

    found = compute_steps(work, 100)

    assert list(found) == ["Start", "Copy", "Verify"]
    assert found["Copy"].lasted == timedelta(minutes=10)
    assert found["Verify"].lasted == timedelta(minutes=80)
    assert found["Verify"].blocked == timedelta(minutes=60)
    assert [one.requests for one in found.values()] == [0, 7, 6]
    bars = [(one.look, one.start, one.width) for one in found["Verify"].periods]
    assert bars == [
        ("work", 20.0, 5.0), ("wait", 25.0, 5.0), ("work", 30.0, 10.0), ("person", 40.0, 60.0)
    ]  # fmt: skip


def test_path_shows_when_a_step_was_reached_and_not_when_it_continued() -> None:
    entries = (
        (0, "copying", 0), (10, "copied", 0), (20, "blocked", 0), (90, "copied", 0),
        (95, "verified", 0),
    )  # fmt: skip
    work = with_history(build_job(FlowJobState.VERIFIED), *entries)
    again = with_history(
        build_job(FlowJobState.VERIFIED), *entries, (200, "copying", 0), (210, "copied", 0)
    )

    assert build_flow_path(work, is_stopped=False)[0].text == format_moment(
        START.replace(minute=10)
    )
    assert build_flow_path(again, is_stopped=False)[0].text == format_moment(
        START + timedelta(minutes=210)
    )


def test_completed_job_takes_no_more_time() -> None:
    work = with_history(
        build_job(FlowJobState.RETIRED), (0, "copying", 0), (60, "checking_for_calls", 0),
        (120, "retired", 0),
    )  # fmt: skip

    found = compute_steps(work, 9999)

    assert sum((one.lasted for one in found.values()), timedelta()) == timedelta(hours=2)
    assert list(found) == ["Copy", "Check for calls"]


def test_pause_at_the_start_of_the_history_counts_for_the_next_step() -> None:
    """Old entries are removed from a long history, so the first entry may be a pause."""
    work = with_history(
        build_job(FlowJobState.MONITORING), (0, "waiting", 0), (30, "monitoring", 0)
    )

    assert compute_steps(work, 40)["Monitor the copy"].lasted == timedelta(minutes=40)


def test_path_shows_durations_of_completed_steps_and_the_stopped_step() -> None:
    work = with_history(
        build_job(FlowJobState.BLOCKED, resume_state=FlowJobState.UPDATING_CALLERS),
        (5, "verified", 0), (6, "updating_callers", 0), (7, "blocked", 0),
    )  # fmt: skip

    path = build_flow_path(work, is_stopped=True)

    assert [(one.title, one.look) for one in path] == [
        ("Copied", "done"), ("Verified", "done"), ("Callers updated", "stop"), ("No calls", ""),
        ("Retired", ""),
    ]  # fmt: skip
    assert [one.text for one in path[:3]] == [
        "Done", "2026-03-02 09:05 UTC", "Not yet: stopped since 2026-03-02 09:07 UTC"
    ]  # fmt: skip


def test_path_of_a_rollback_shows_its_stages() -> None:
    rolling = build_job(
        FlowJobState.ROLLING_BACK, rollback_stage=RollbackStage.CHECK_COPY_FOR_CALLS
    )

    looks = [one.look for one in build_flow_path(rolling, is_stopped=False)]
    ended = [
        one.look for one in build_flow_path(build_job(FlowJobState.ROLLED_BACK), is_stopped=False)
    ]

    assert looks == ["done", "done", "now", ""]
    assert ended == ["done"] * 4


def test_flow_without_a_copy_has_no_path() -> None:
    edited = build_job(FlowJobState.PREPARING, migration_method=MigrationMethod.EDIT_DEFINITION)

    assert build_flow_path(edited, is_stopped=False) == []
    assert build_flow_path(build_job(FlowJobState.CANCELLED), is_stopped=False) == []


def test_original_is_reported_as_on_only_if_the_rows_prove_it() -> None:
    blocked = build_job(
        FlowJobState.BLOCKED, resume_state=FlowJobState.UPDATING_CALLERS, original=WAS_ON
    )

    assert "has not turned it off" in explain_why_original_is_on(blocked)
    assert (
        explain_why_original_is_on(
            replace(blocked, original=replace(blocked.original, was_on=False))
        )
        == ""
    )
    assert (
        explain_why_original_is_on(
            replace(blocked, original=replace(blocked.original, was_on=None))
        )
        == ""
    )
    assert (
        explain_why_original_is_on(
            replace(blocked, original=replace(blocked.original, last_write=CONFIRMED))
        )
        == ""
    )
    assert explain_why_original_is_on(replace(blocked, both_off_since=START)) == ""
    assert (
        explain_why_original_is_on(replace(blocked, resume_state=FlowJobState.CUTTING_OVER)) == ""
    )
    assert explain_why_original_is_on(build_job(FlowJobState.RETIRED, original=WAS_ON)) == ""

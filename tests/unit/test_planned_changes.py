from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, JobCommand, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.planned_changes import find_which_changes_were_made, list_planned_changes

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETTING, SECRET = "setting URL of the app shop", "secret url of the vault kv"
CONFIRMED = FlowStateWrite(
    state=FlowState.OFF,
    first_sent_at=NOW,
    last_sent_at=NOW,
    reads_valid_from=NOW,
    is_confirmed=True,
)
#: The original of the job.
ORIGINAL = Original(
    id="w",
    flow_name="f",
    category="http",
    trigger_name="manual",
    has_trigger_url=True,
    in_solution=True,
    digest="",
)


def build_item(method: MigrationMethod = MigrationMethod.UPDATE_CALLERS, **more: Any) -> PlanItem:
    base = PlanItem(
        environment_job_id="e",
        workflow_id="w",
        flow_name="f",
        display_name="Orders",
        category="http",
        trigger_name="manual",
        has_trigger_url=True,
        in_solution=True,
        migration_method=method,
        is_on=True,
        microsoft_key_reasons=("http_trigger",),
        action=PlannedAction.COPY,
        message="",
        co_owner_count=2,
        callers=tuple(PlannedCaller(kind="k", label=label) for label in (SETTING, SECRET)),
    )
    made = replace(base, **more)
    return replace(made, planned_changes=tuple(one.text for one in list_planned_changes(made)))


def build_job(step: FlowJobState, **more: Any) -> FlowJob:
    base = FlowJob(
        id="j",
        environment_id="e",
        policy_id="p",
        remediation_id="r",
        environment_job_id="e",
        original=ORIGINAL,
        display_name="Orders",
        migration_method=MigrationMethod.UPDATE_CALLERS,
        copy=Copy(id="c"),
        state=step,
    )
    return replace(base, **more)


def build_caller_record(label: str, state: CallerState) -> CallerRecord:
    where = Caller(kind="k", address=label, label=label, resource_id=label)
    return CallerRecord(job_id="j", id=label, caller=where, state=state)


def find_completed_changes(
    plan: PlanItem, work: FlowJob | None, *callers: CallerRecord
) -> set[str]:
    done = find_which_changes_were_made(plan, work, callers)
    return {text for text, is_made in zip(plan.planned_changes, done, strict=True) if is_made}


COPIED = {
    "create the flow Orders (CMK), off, for the original's owner",
    "share the copy with 2 co-owners of Orders",
    "turn the copy on",
}


def test_completed_changes_of_a_copied_flow_are_those_of_the_copy() -> None:
    blocked = build_job(FlowJobState.BLOCKED, resume_state=FlowJobState.COPIED)

    assert find_completed_changes(build_item(), blocked) == COPIED
    assert find_completed_changes(build_item(), build_job(FlowJobState.COPYING)) == set()
    assert find_completed_changes(build_item(), None) == set()


def test_caller_update_is_made_when_every_record_of_the_caller_is_updated() -> None:
    updating = build_job(FlowJobState.UPDATING_CALLERS)
    updated = build_caller_record(SETTING, CallerState.UPDATED)
    manual = replace(build_caller_record(SETTING, CallerState.MANUAL), id="2")

    assert f"update {SETTING}" in find_completed_changes(build_item(), updating, updated)
    assert f"update {SECRET}" not in find_completed_changes(build_item(), updating, updated)
    assert f"update {SETTING}" not in find_completed_changes(
        build_item(), updating, updated, manual
    )


def test_caller_that_is_copied_too_need_not_be_updated() -> None:
    """The caller's copy calls the copy of the called flow."""
    parent = PlannedCaller(kind="flow", label="flow Close of day", is_copied=True)
    plan = build_item(callers=(parent,))
    text = "update flow Close of day, unless it is copied first"

    assert text in plan.planned_changes
    assert text not in find_completed_changes(plan, build_job(FlowJobState.UPDATING_CALLERS))
    assert text in find_completed_changes(plan, build_job(FlowJobState.RETIRED))


def test_grant_and_revocation_are_completed_by_the_recorded_grants() -> None:
    active = build_job(FlowJobState.COPIED, grants=Grants(past=("w",), active=("w",)))
    revoked = build_job(FlowJobState.COPIED, grants=Grants(past=("w",)))

    assert {
        text
        for text in find_completed_changes(build_item(), active) - COPIED
        if "service account" in text
    } == {"make the service account co-owner of Orders and of its copy, to read their URLs"}
    assert len(find_completed_changes(build_item(), revoked) - COPIED) == 2


def test_cutover_is_made_when_writes_are_read_back() -> None:
    plan = build_item(MigrationMethod.CUT_OVER, action=PlannedAction.CUT_OVER)
    sent = replace(CONFIRMED, is_confirmed=False)

    off = find_completed_changes(
        plan, build_job(FlowJobState.CUTTING_OVER, original=replace(ORIGINAL, last_write=CONFIRMED))
    )
    unsure = find_completed_changes(
        plan, build_job(FlowJobState.CUTTING_OVER, original=replace(ORIGINAL, last_write=sent))
    )

    assert "turn Orders off" in off
    assert "turn the copy on" not in off
    assert "turn Orders off" not in unsure


def test_every_change_of_retired_flow_is_made() -> None:
    plan = build_item()
    callers = [build_caller_record(label, CallerState.UPDATED) for label in (SETTING, SECRET)]

    assert find_completed_changes(
        plan, build_job(FlowJobState.RETIRED, grants=Grants(past=("w",))), *callers
    ) == {*plan.planned_changes}


@pytest.mark.parametrize(
    "work",
    [
        build_job(FlowJobState.ROLLED_BACK),
        build_job(FlowJobState.ROLLING_BACK),
        build_job(FlowJobState.RETIRED, requested_command=JobCommand.ROLL_BACK),
    ],
)
def test_no_change_is_completed_after_a_rollback_is_requested(work: FlowJob) -> None:
    """A rollback reverts the changes."""
    assert (
        find_completed_changes(
            build_item(), work, build_caller_record(SETTING, CallerState.UPDATED)
        )
        == set()
    )


def test_unknown_planned_change_is_not_shown_as_completed() -> None:
    """This version of the app cannot know whether such a change is made."""
    plan = replace(build_item(), planned_changes=("paint the flow blue",))

    assert find_which_changes_were_made(plan, build_job(FlowJobState.RETIRED), ()) == (False,)

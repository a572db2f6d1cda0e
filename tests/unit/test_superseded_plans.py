from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.grants import Grants
from shared.domain.plans.remediation import EnvironmentJob, PlanKept, RemediationMode
from shared.domain.plans.superseded import find_superseded_jobs, mark_removal_started

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def build_plan_job(
    day: int, state: EnvironmentJobState = EnvironmentJobState.COMPLETED
) -> EnvironmentJob:
    at = FIRST + day * DAY
    return EnvironmentJob(
        id=f"job-{day}",
        remediation_id=f"remediation-{day}",
        environment_id="environment",
        mode=RemediationMode.APPLY,
        state=state,
        planned_at=at,
        planned_action_counts={},
        not_migrated={},
        history=(HistoryEntry(changed_at=at, state=state, message=""),),
    )


OLD, NEW = build_plan_job(1), build_plan_job(2)


def test_an_older_plan_of_the_environment_is_superseded() -> None:
    assert find_superseded_jobs([NEW, build_plan_job(0), OLD], ()) == [build_plan_job(0), OLD]


@pytest.mark.parametrize(
    "old",
    [
        replace(OLD, approval_count=1),
        replace(OLD, has_started_flow_jobs=True, planned_action_counts={"copy": 1}),
        build_plan_job(1, EnvironmentJobState.AWAITING_APPROVAL),
        build_plan_job(1, EnvironmentJobState.BLOCKED),
        build_plan_job(1, EnvironmentJobState.FAILED),
        replace(OLD, grants=Grants(returned=("flow",))),
        replace(OLD, environment_id="another"),
    ],
    ids=["approved", "made jobs", "waits", "blocked", "failed", "lent", "elsewhere"],
)
def test_plan_that_may_still_be_needed_is_not_superseded(old: EnvironmentJob) -> None:
    """Evidence, a rollback, an approval or a retry may still need the plan."""
    assert find_superseded_jobs([old, NEW], ()) == []


def test_plan_with_flow_jobs_is_not_superseded() -> None:
    adopted = replace(
        OLD, has_started_flow_jobs=True, planned_action_counts={"continue_existing_job": 1}
    )

    assert find_superseded_jobs([adopted, NEW], {adopted.id}) == []
    assert find_superseded_jobs([adopted, NEW], ()) == [adopted]


def test_a_later_plan_of_named_flows_supersedes_nothing() -> None:
    """A plan of some flows does not replace the last plan of all flows."""
    named = replace(NEW, flow_ids=("flow",))

    assert find_superseded_jobs([OLD, named], ()) == []
    assert find_superseded_jobs([OLD, named, build_plan_job(3)], ()) == [OLD, named]


def test_assessment_is_superseded_only_by_a_later_assessment() -> None:
    looks = [replace(build_plan_job(day), mode=RemediationMode.ASSESS) for day in (2, 3)]

    assert find_superseded_jobs([OLD, *looks], ()) == [looks[0]]


def test_removal_of_a_plan_is_recorded_once() -> None:
    begun = mark_removal_started(OLD, FIRST + 9 * DAY)

    assert begun.plan_kept is PlanKept.BEING_REMOVED
    assert begun.findings[-1].endswith("Only this summary is kept since 2026-03-10.")
    assert mark_removal_started(begun, FIRST + 10 * DAY) == begun

from datetime import UTC, datetime

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.completed_work import build_completed_action
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode


@pytest.mark.parametrize(
    ("mode", "state", "left", "ending"),
    [
        (RemediationMode.APPLY, EnvironmentJobState.COMPLETED, 0, "every flow is migrated"),
        (RemediationMode.PREPARE, EnvironmentJobState.COMPLETED, 0, "every flow is prepared"),
        (RemediationMode.APPLY, EnvironmentJobState.COMPLETED, 1, "1 flow not migrated"),
        (RemediationMode.APPLY, EnvironmentJobState.CANCELLED, 2, "2 flows not migrated"),
    ],
)
def test_title_of_a_completed_job_matches_its_mode_and_state(
    mode: RemediationMode, state: EnvironmentJobState, left: int, ending: str
) -> None:
    job = EnvironmentJob(
        id="job",
        environment_id="env",
        environment_name="Operations",
        remediation_id="r",
        mode=mode,
        state=state,
        planned_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    action = build_completed_action(job, {NotMigratedReason.EXCLUDED: left} if left else {})

    verb = "was cancelled" if state is EnvironmentJobState.CANCELLED else "is complete"
    assert action.title == f"The remediation in Operations {verb}: {ending}"
    assert (action.message == f"Not migrated: {left} excluded.") is bool(left)

"""Check that a copy still works before callers are changed to it.

Between its verification and the retirement of its original, a person or the platform may turn it
off.
"""

from shared.domain.flow import FlowState, Workflow
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import ExpectedFlowState
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.steps.step_context import StepContext


async def find_copy(work: StepContext) -> Workflow | None:
    """Return the copy as it is now, or None if it no longer exists."""
    try:
        return await work.services.workflows.get(work.environment, work.job.copy.id)
    except NotFound:
        return None


def require_healthy_copy(job: FlowJob, copy: Workflow | None) -> Workflow:
    """Return the copy if it is on, or stays off because its original was off.

    Raises `JobBlocked` if it was turned off or deleted since it was verified.
    """
    # In state monitoring, the original was turned off for it.
    is_alone = job.state_properties.original is ExpectedFlowState.OFF
    prefix = "Original and copy are both off. " if is_alone else ""
    if copy is None:
        raise JobBlocked(
            f"{prefix}The copy of {job.display_name} was deleted.",
            fix=(
                "Roll this job back, so that every caller calls the original. Then start a new "
                "remediation for the flow."
            ),
            code=Reason.BOTH_OFF if is_alone else Reason.COPY_CHANGED,
        )
    if job.migration_method is not MigrationMethod.COPY_OFF and copy.state is not FlowState.ON:
        raise JobBlocked(
            f"{prefix}The copy of {job.display_name} is {copy.state}, so callers must not use it.",
            fix=(
                "Find out who or what turned the copy off, turn it on in Power Automate, then "
                "retry. Or roll this job back."
            ),
            code=Reason.BOTH_OFF if is_alone else Reason.FLOW_STATE_NOT_CHANGED,
        )
    return copy

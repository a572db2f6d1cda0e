"""Wait for the end of another job, which then wakes this one."""

from dataclasses import replace
from typing import NoReturn

from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import MustWait
from shared.jobs.engine import UNTIL_WOKEN
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.steps.step_context import StepContext


async def wait_for_end(work: StepContext, parent: FlowJob, text: str) -> NoReturn:
    """Raise `MustWait`, until the job of a parent has ended.

    A parent that calls by URL does not know whom it calls: it is told of who waits, or it ended
    without waking anybody. If it has ended meanwhile, this job looks again at once.
    """
    services, has_ended = work.services, False
    name = format_job_reference(work.job, parent.environment_id)

    def noted(job: FlowJob | None) -> FlowJob | None:
        nonlocal has_ended
        has_ended = job is None or FLOW.is_ended(job)
        if job is None or has_ended or name in (*job.children, *job.waiting_job_ids):
            return None
        return replace(job, waiting_job_ids=(*job.waiting_job_ids, name))

    await FLOW.change(services, (parent.environment_id, parent.id), noted)
    until = services.now if has_ended else services.now + UNTIL_WOKEN
    raise MustWait(text, until=until, code=Reason.PARENT_FLOW_NOT_READY)

"""Wait until another job ends. That job then wakes this one."""

from dataclasses import replace
from typing import NoReturn

from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import MustWait
from shared.jobs.engine import UNTIL_WOKEN
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.steps.step_context import StepContext


async def wait_for_end_of_job(work: StepContext, parent: FlowJob, text: str) -> NoReturn:
    """Raise `MustWait` until the job of a parent ends, or until now if it has ended.

    The job of a parent that calls by URL does not know its callees, so this job is added to that
    job's `waiting_job_ids`.
    """
    services, has_ended = work.services, False
    name = format_job_reference(work.job, parent.environment_id)

    def with_waiting_parent(job: FlowJob | None) -> FlowJob | None:
        nonlocal has_ended
        has_ended = job is None or FLOW.is_ended(job)
        if job is None or has_ended or name in (*job.children, *job.waiting_job_ids):
            return None
        return replace(job, waiting_job_ids=(*job.waiting_job_ids, name))

    await FLOW.change(services, (parent.environment_id, parent.id), with_waiting_parent)
    until = services.now if has_ended else services.now + UNTIL_WOKEN
    raise MustWait(text, until=until, code=Reason.PARENT_FLOW_NOT_READY)

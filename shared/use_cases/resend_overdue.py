"""Send the message of every row that should have moved: a process died, a message was lost."""

from dataclasses import replace

from shared.domain.jobs.job import FlowJob, JobState
from shared.domain.jobs.relatives import located
from shared.domain.plans.remediation import EnvironmentJobState
from shared.errors import Conflict
from shared.ports import Condition
from shared.rows import instant
from shared.services import Services
from shared.steps.planning.dispatch import open_jobs
from shared.steps.work import send, wake
from shared.use_cases.environment_job_rows import wake_environment_job
from shared.use_cases.start_remediation import complete_starts

#: What ends each of these waits is another job: its wake-up may have died with a process.
ENDED_BY_A_JOB = ("child", "parent")


async def resend_overdue(services: Services) -> int:
    """Announce overdue rows anew, and make those that are missing; returns how many there were."""
    late = instant(services.now - services.settings.overdue_after)
    overdue = [Condition("due", "lt", late)]
    count = 0
    async for kept in services.tables.jobs.query(where=overdue):
        held = kept.item.lease_until and kept.item.lease_until > services.now
        if held:
            continue
        # A new attempt: the message with the old id may have been used up.
        job = replace(kept.item, attempt=kept.item.attempt + 1)
        try:
            await services.tables.jobs.replace(kept, job)
        except Conflict:
            continue
        await send(services, job)
        count += 1
    dispatched = [Condition("state", "eq", EnvironmentJobState.DISPATCHED)]
    for environment_job in await services.tables.environment_jobs.all(where=dispatched):
        has_begun = environment_job.is_dispatched and not environment_job.awaits_approval
        if has_begun and not await open_jobs(services, environment_job):
            await wake_environment_job(services, environment_job.id, environment_job.remediation_id)
    for environment_job in await services.tables.environment_jobs.all(where=overdue):
        await wake_environment_job(services, environment_job.id, environment_job.remediation_id)
        count += 1
    return count + await complete_starts(services) + await _wake_settled(services)


async def _wake_settled(services: Services) -> int:
    count = 0
    for code in ENDED_BY_A_JOB:
        where = [Condition("code", "eq", code)]
        for job in await services.tables.jobs.all(where=where):
            if await _is_settled(services, job):
                await wake(services, job.environment_id, job.id, code=code)
                count += 1
    return count


def _is_stuck(job: FlowJob, other: FlowJob) -> bool:
    """Say whether a job waits for one that does not go on by itself: it has to be told so."""
    return other.is_stuck and not (job.code == "child" and other.is_proven)


async def _is_settled(services: Services, job: FlowJob) -> bool:
    related = job.children if job.code == "child" else job.parents
    places = [located(name, job.environment_id) for name in related]
    rows = [await services.tables.jobs.get(*place) for place in places]
    jobs = [kept.item for kept in rows if kept]
    if job.state is JobState.WAITING and any(_is_stuck(job, other) for other in jobs):
        return True
    if job.code == "child":
        if job.is_rolling_back:
            return all(child.has_original_back for child in jobs)
        return all(child.is_proven for child in jobs)
    if job.is_rolling_back:
        return all(parent.facts.is_copy_off for parent in jobs)
    return all(parent.facts.is_settled for parent in jobs)

"""Hold, write, wake and announce rows of environment jobs (as steps/work.py does for flow jobs)."""

import uuid
from dataclasses import replace
from datetime import timedelta

from shared.domain.plans.remediation import EnvironmentJob, EnvironmentJobState
from shared.errors import Conflict
from shared.ports import OutgoingMessage
from shared.rows import Kept
from shared.services import ENVIRONMENT_JOBS, Services

#: Longer than a function may run (host.json). A discovery takes minutes: with a shorter lease each
#: delivery would take it over from the one before, and none would ever end. Nor may a delivery that
#: was given up write items of a plan which is shown, or approved, by then.
DISCOVERY_LEASE = timedelta(minutes=11)
#: States in which a delivery reads the whole environment, and writes items of the plan.
READING = frozenset(
    {
        EnvironmentJobState.DISCOVERING,
        EnvironmentJobState.PLANNED,
        EnvironmentJobState.APPROVED,
    }
)


async def claim_environment_job(
    services: Services, kept: Kept[EnvironmentJob]
) -> Kept[EnvironmentJob]:
    """Return the row with a lease on it; raises `Conflict` if somebody was faster."""
    reading = kept.item.state in READING
    until = services.now + (DISCOVERY_LEASE if reading else services.settings.job_lease)
    job = replace(kept.item, lease=str(uuid.uuid4()), lease_until=until, woken=False)
    return await services.tables.environment_jobs.replace(kept, job)


async def save_environment_job(
    services: Services, kept: Kept[EnvironmentJob], job: EnvironmentJob
) -> Kept[EnvironmentJob]:
    """Write a row we hold the lease of; a wake-up that came meanwhile is kept."""
    table = services.tables.environment_jobs
    while True:
        try:
            return await table.replace(kept, job)
        except Conflict:
            fresh = await table.get(job.remediation_id, job.id)
            if fresh is None or fresh.item.lease != kept.item.lease:
                raise
            kept, job = fresh, replace(job, woken=fresh.item.woken)


async def wake_environment_job(services: Services, job_id: str, remediation_id: str) -> None:
    """Have an open environment job looked at now."""
    table = services.tables.environment_jobs
    while kept := await table.get(remediation_id, job_id):
        job = kept.item
        if job.is_finished or job.due is None:
            return
        held = job.lease_until is not None and job.lease_until > services.now
        if held:
            job = replace(job, woken=True)
        else:
            job = replace(job, due=services.now, attempt=job.attempt + 1)
        try:
            await table.replace(kept, job)
        except Conflict:
            continue
        if not held:
            await send_environment_job(services, job)
        return


async def send_environment_job(services: Services, job: EnvironmentJob) -> None:
    """Send the message that makes somebody look at this row when it is due.

    While somebody holds the row, that is when the lease ends: whoever holds it may be dead.
    """
    held = job.lease_until is not None and job.lease_until > services.now
    due = job.lease_until if held else job.due
    if due is None:
        return
    soon = due <= services.now + timedelta(seconds=1)
    # Not the id of the message that found the row held: the broker would drop it as a duplicate.
    step = f"held/{job.lease}" if held else f"{job.state}/{job.attempt}"
    await services.messages.send(
        OutgoingMessage(
            queue=ENVIRONMENT_JOBS,
            message_id=f"{job.id}/{step}",
            body={"remediation": job.remediation_id, "job": job.id},
            due=None if soon else due,
        )
    )

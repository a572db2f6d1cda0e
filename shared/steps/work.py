"""A job in hand: its row, its lease, and what a step may do with it."""

import logging
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from shared.domain.environment import Environment
from shared.domain.jobs.job import FlowJob
from shared.domain.jobs.relatives import located
from shared.domain.jobs.transitions import retried
from shared.errors import Conflict
from shared.ports import OutgoingMessage
from shared.rows import Kept
from shared.services import FLOW_JOBS, Services
from shared.steps import gate

log = logging.getLogger(__name__)


#: A job that waits for another is woken by it; this is for when all else failed.
UNTIL_WOKEN = timedelta(days=1)


class Work:
    """One delivery's hold on a job's row."""

    def __init__(self, services: Services, kept: Kept[FlowJob], environment: Environment) -> None:
        """Take a row that carries this delivery's lease."""
        self.services = services
        self.environment = environment
        self.kept = kept

    @property
    def job(self) -> FlowJob:
        """Return the row as it was last written."""
        return self.kept.item

    async def save(self, job: FlowJob) -> FlowJob:
        """Write the row. What came meanwhile is kept: an order, a wake-up, a new remediation.

        Raises `Conflict` if another delivery has taken the row over.
        """
        self.kept = await save(self.services, self.kept, job)
        return self.kept.item

    async def permit_write(self, *, anytime: bool = False) -> None:
        """Return if a write is allowed now; else raise `Waiting` or `Blocked`.

        `anytime`: what was begun in the maintenance window may be ended outside of it, above all a
        swap of which neither flow may be on.
        """
        anytime = anytime or self.job.is_swapping
        await gate.permit_write(self.services, self.job.environment_id, anytime=anytime)

    async def related(self, ids: Iterable[str]) -> list[FlowJob]:
        """Return the jobs that this one names so; those that are gone are left out."""
        return await self._at(located(one, self.job.environment_id) for one in ids)

    async def ancestors(self) -> dict[str, FlowJob]:
        """Return the jobs of all flows that reach this one by calls, by id."""
        found: dict[str, FlowJob] = {}
        related = await self.related(self.job.parents)
        while related:
            found |= {one.id: one for one in related if one.id != self.job.id}
            above = [
                located(parent, one.environment_id) for one in related for parent in one.parents
            ]
            known = {*found, self.job.id}
            related = await self._at(
                place for place in dict.fromkeys(above) if place[1] not in known
            )
        return found

    async def _at(self, places: Iterable[tuple[str, str]]) -> list[FlowJob]:
        rows = [await self.services.tables.jobs.get(*place) for place in places]
        return [kept.item for kept in rows if kept]


async def claim(services: Services, kept: Kept[FlowJob]) -> Kept[FlowJob]:
    """Return the row with a lease on it; raises `Conflict` if somebody was faster."""
    lease = str(uuid.uuid4())
    until = services.now + services.settings.job_lease
    job = replace(kept.item, lease=lease, lease_until=until, woken=False)
    return await services.tables.jobs.replace(kept, job)


async def save(services: Services, kept: Kept[FlowJob], job: FlowJob) -> Kept[FlowJob]:
    """Write `job` over a row we hold the lease of."""
    while True:
        try:
            return await services.tables.jobs.replace(kept, job)
        except Conflict:
            fresh = await services.tables.jobs.get(job.environment_id, job.id)
            if fresh is None or fresh.item.lease != kept.item.lease:
                raise
            kept, job = fresh, _with_what_came(job, fresh.item)


def _with_what_came(job: FlowJob, fresh: FlowJob) -> FlowJob:
    """Return `job` with all that may be written into a row which somebody else holds.

    That is an order, a wake-up, or the remediation that has taken the job up.
    """
    return replace(
        job,
        requested=fresh.requested,
        may_replay=fresh.may_replay,
        woken=fresh.woken,
        remediation_id=fresh.remediation_id,
        environment_job_id=fresh.environment_job_id,
    )


async def wake(
    services: Services, environment_id: str, job_id: str, *, code: str, even_blocked: bool = True
) -> None:
    """Have a job looked at now if it waits, or is blocked, for the reason `code`."""
    while kept := await services.tables.jobs.get(environment_id, job_id):
        job = kept.item
        held = job.lease_until is not None and job.lease_until > services.now
        waits = job.due is not None
        if not held and (job.code != code or not (waits or even_blocked)):
            return
        if held:
            job = replace(job, woken=True)
        elif waits:
            job = replace(job, due=services.now, attempt=job.attempt + 1)
        else:
            text = "What it waited for has happened."
            job = replace(retried(job, text, now=services.now), attempt=job.attempt + 1)
        try:
            await services.tables.jobs.replace(kept, job)
        except Conflict:
            continue
        if not held:
            await send(services, job)
        return


async def send(services: Services, job: FlowJob) -> None:
    """Send the message that makes somebody look at this row when it is due.

    While somebody holds the row, that is when the lease ends: whoever holds it may be dead.
    """
    held = job.lease_until is not None and job.lease_until > services.now
    due = job.lease_until if held else job.due
    if due is None:
        return
    soon = due <= services.now
    # Not the id of the message that found the row held: the broker would drop it as a duplicate.
    step = f"held/{job.lease}" if held else f"{job.state}/{job.attempt}"
    await services.messages.send(
        OutgoingMessage(
            queue=FLOW_JOBS,
            message_id=f"{job.id}/{step}",
            body={"environment": job.environment_id, "job": job.id},
            due=None if soon else due,
        )
    )

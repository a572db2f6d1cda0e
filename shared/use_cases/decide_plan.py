"""What an administrator decides about remediations and jobs: approve, cancel, retry, roll back."""

from dataclasses import replace

from shared.domain.environment import Mode
from shared.domain.job import FlowJob, JobState, Order, retried
from shared.domain.remediation import EnvironmentJob, EnvironmentJobState, Remediation, moved
from shared.errors import Blocked, Conflict, NotFound
from shared.ports import Condition
from shared.services import Services
from shared.steps.gate import settings_of
from shared.steps.work import send
from shared.use_cases.environment_job_rows import send_environment_job

#: Jobs that a rollback can do nothing for.
NOTHING_TO_UNDO = frozenset({JobState.ROLLED_BACK, JobState.CANCELLED})


async def approve(services: Services, remediation_id: str, *, by: str) -> list[EnvironmentJob]:
    """Approve every plan of a remediation that waits for it; returns those environment jobs."""
    waiting = [
        job
        for job in await _environment_jobs(services, remediation_id)
        if job.state is EnvironmentJobState.AWAITING_APPROVAL
    ]
    if not waiting:
        raise Blocked(
            "No plan of this remediation waits for approval.",
            instruction="Look at its state: it may be planning still, approved or expired.",
            code="state",
        )
    for job in waiting:  # all of them or none
        await _check_approval(services, job)
    expected, then = EnvironmentJobState.AWAITING_APPROVAL, EnvironmentJobState.DISPATCHED
    return [
        await _change(services, job, expected, then, f"Approved by {by}.", by) for job in waiting
    ]


async def _check_approval(services: Services, job: EnvironmentJob) -> None:
    settings = await settings_of(services, job.environment_id)
    if settings.mode is Mode.ASSESS:
        raise Blocked(
            f"Environment {job.environment_id} is in mode assess.",
            instruction="Set its mode to approve or auto, then approve again.",
            code="mode",
        )
    if job.expires and job.expires <= services.now:
        raise Blocked(
            f"The plan of environment {job.environment_id} has expired.",
            instruction="Order a new remediation: the tenant may have changed since.",
            code="expired",
        )


async def cancel(services: Services, remediation_id: str) -> int:
    """Cancel what has not been done: jobs that began are rolled back. Returns how many jobs."""
    open_states = {
        EnvironmentJobState.WAITING_FOR_MIGRATION,
        EnvironmentJobState.DISCOVERING,
        EnvironmentJobState.PLANNED,
        EnvironmentJobState.AWAITING_APPROVAL,
    }
    for job in await _environment_jobs(services, remediation_id):
        undispatched = job.state is EnvironmentJobState.DISPATCHED and not job.is_dispatched
        if job.state in open_states or undispatched:
            await _change(
                services, job, None, EnvironmentJobState.CANCELLED, "Cancelled by order.", ""
            )
    jobs = await jobs_of(services, remediation_id)
    unfinished = [job for job in jobs if job.state is not JobState.RETIRED]
    return await _order(services, _families(unfinished, jobs), Order.CANCEL)


async def roll_back(services: Services, remediation_id: str, flow_ids: tuple[str, ...] = ()) -> int:
    """Undo the jobs of these flows and their families (none named: all). Returns how many.

    Raises `NotFound` if a flow that is named has no job here.
    """
    jobs = await jobs_of(services, remediation_id)
    named = _named(jobs, flow_ids)
    return await _order(services, _families(named, jobs), Order.ROLL_BACK)


async def retry(services: Services, remediation_id: str, flow_ids: tuple[str, ...] = ()) -> int:
    """Go on with blocked and failed jobs (none named: all), and environment jobs likewise."""
    count = 0
    for environment_job in await _environment_jobs(services, remediation_id):
        stuck = {EnvironmentJobState.BLOCKED, EnvironmentJobState.FAILED}
        if environment_job.state in stuck and not flow_ids:
            back = environment_job.resume or EnvironmentJobState.WAITING_FOR_MIGRATION
            await _change(services, environment_job, None, back, "Retried by order.", "")
            count += 1
    for job in _named(await jobs_of(services, remediation_id), flow_ids):
        if job.state in {JobState.BLOCKED, JobState.FAILED, JobState.WAITING}:
            await retry_job(services, job)
            count += 1
    return count


async def retry_job(services: Services, job: FlowJob) -> None:
    """Go on with one job. An edit that blocked it is accepted: the flow is copied as it is now."""
    while kept := await services.tables.jobs.get(job.environment_id, job.id):
        job = kept.item
        if job.state not in {JobState.BLOCKED, JobState.FAILED, JobState.WAITING}:
            return
        if job.code == "changed":
            stays = {JobState.PLANNED, JobState.COPYING, JobState.WATCHED}
            resume = job.resume if job.reached in stays else JobState.COPYING
            job = replace(job, original_digest="", resume=resume)
        job = retried(job, "Retried by order.", now=services.now)
        job = replace(job, attempt=job.attempt + 1)
        try:
            await services.tables.jobs.replace(kept, job)
        except Conflict:
            continue
        await send(services, job)
        return


async def jobs_of(services: Services, remediation_id: str) -> list[FlowJob]:
    """Return the flow jobs of a remediation; raises `NotFound`."""
    remediation = await find(services, remediation_id)
    where = [Condition("remediation", "eq", remediation_id)]
    return [
        job
        for environment_id in remediation.environment_ids
        for job in await services.tables.jobs.all(environment_id, where=where)
    ]


async def find(services: Services, remediation_id: str) -> Remediation:
    """Return a remediation; raises `NotFound`."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None:
        message = f"There is no remediation {remediation_id}."
        raise NotFound(message)
    return kept.item


async def _environment_jobs(services: Services, remediation_id: str) -> list[EnvironmentJob]:
    await find(services, remediation_id)
    return await services.tables.environment_jobs.all(remediation_id)


def _named(jobs: list[FlowJob], flow_ids: tuple[str, ...]) -> list[FlowJob]:
    wanted = {flow.lower() for flow in flow_ids}
    if not wanted:
        return jobs
    found = [job for job in jobs if {job.original_id, job.flow_name.lower()} & wanted]
    missing = wanted - {job.original_id for job in found} - {j.flow_name.lower() for j in found}
    if missing:
        message = f"This remediation has no job for {', '.join(sorted(missing))}."
        raise NotFound(message)
    return found


def _families(wanted: list[FlowJob], jobs: list[FlowJob]) -> list[FlowJob]:
    """A flow goes back with its family: originals run originals, copies run copies.

    A parent that calls by URL is known to the child only: the calls are followed both ways.
    """
    relatives: dict[str, set[str]] = {job.id: {*job.parent_ids, *job.children} for job in jobs}
    for job in jobs:
        for other in relatives[job.id] & relatives.keys():
            relatives[other].add(job.id)
    found: set[str] = set()
    waiting = [job.id for job in wanted]
    while waiting:
        one = waiting.pop()
        if one in relatives and one not in found:
            found.add(one)
            waiting += relatives[one]
    return [job for job in jobs if job.id in found]


async def _order(services: Services, jobs: list[FlowJob], order: Order) -> int:
    count = 0
    for job in jobs:
        count += await _order_one(services, job, order)
    return count


async def _order_one(services: Services, job: FlowJob, order: Order) -> bool:
    while kept := await services.tables.jobs.get(job.environment_id, job.id):
        job = kept.item
        if job.state in NOTHING_TO_UNDO:
            return False
        held = job.lease_until is not None and job.lease_until > services.now
        job = replace(
            job,
            requested=order,
            due=services.now,
            attempt=job.attempt + 1,
            # Whoever holds the row may be about to set a time that is days away.
            woken=job.woken or held,
        )
        try:
            await services.tables.jobs.replace(kept, job)
        except Conflict:
            continue
        await send(services, job)
        return True
    return False


async def _change(
    services: Services,
    job: EnvironmentJob,
    expected: EnvironmentJobState | None,
    state: EnvironmentJobState,
    text: str,
    by: str,
) -> EnvironmentJob:
    """Move an environment job by order; a race with a delivery is decided by the row."""
    table = services.tables.environment_jobs
    while kept := await table.get(job.remediation_id, job.id):
        if expected is not None and kept.item.state is not expected:
            return kept.item
        changed = moved(kept.item, state, text, now=services.now)
        changed = replace(
            changed,
            approved_by=by or kept.item.approved_by,
            lease="",
            lease_until=None,
            attempt=kept.item.attempt + 1,
        )
        try:
            await table.replace(kept, changed)
        except Conflict:
            continue
        await send_environment_job(services, changed)
        return changed
    return job

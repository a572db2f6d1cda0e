"""Batch the writes of jobs whose callers are in one resource, while the rows of all are leased.

The caller index has the ids that a resource holds, and a table has the jobs that are ready to write
it. A job that is ready waits some time for the others; the last one, or the first whose time is
over, writes for all.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime

from shared.alerts import read_readable
from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import PendingCallerWrite
from shared.domain.ids import derive_flow_job_id, hash_key
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import CmkflowError, Conflict, MustWait, NotFound, UnreadableRow
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.read_back import iterate_read_attempts
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.record_callers import list_original_ids
from shared.steps.write_permission import require_linked_environment

#: The reasons with which a job may wait while another job writes its callers.
_MAY_WAIT_FOR = frozenset(
    {
        "",
        Reason.BATCHING_CALLER_WRITES,
        Reason.WAITING_FOR_RESOURCE_LEASE,
        Reason.THROTTLED,
        Reason.KILL_SWITCH_ON,
        Reason.OUTSIDE_MAINTENANCE_WINDOW,
    }
)


async def wait_for_other_jobs(work: StepContext, caller: Caller) -> bool:
    """Raise `MustWait` while other jobs are expected to write the same resource soon.

    After that, return whether other jobs may write the resource too. No job waits longer than
    `caller_batch_wait` after it reached its callers.
    """
    job, services, key = work.job, work.services, hash_key(caller.resource_id)
    held = set[str]()
    async for place in services.tables.caller_index.query(key):
        held |= place.item.caller.trigger_url_ids | place.item.caller.child_flow_ids
    own = build_pending_write(job, caller.resource_id)
    if held <= own.held_ids:
        return False
    await services.tables.pending_caller_writes.upsert(own)
    # Jobs that wait for this one notice that it has come.
    await services.tables.pending_caller_writes.clear(job.id)
    held.difference_update(
        *[move.held_ids for move in await services.tables.pending_caller_writes.read_all(key)]
    )
    came = [one.changed_at for one in job.history if one.state == FlowJobState.UPDATING_CALLERS]
    until = max(came, default=services.now) + services.settings.caller_batch_wait
    if not held or until <= services.now:
        return True
    async for other in _iterate_expected_jobs(work, held):
        if not _can_start_caller_update_before(other, until):
            continue
        # Recorded before the other job is read again: if it stops after that, it wakes this one.
        await services.tables.pending_caller_writes.upsert(
            replace(own, resource_id=other.id, held_ids=frozenset())
        )
        kept = await services.tables.flow_jobs.get(other.environment_id, other.id)
        if kept and _can_start_caller_update_before(kept.item, until):
            raise MustWait(
                f"{other.display_name} may have callers in the same place ({caller.label}). The "
                "app waits to write them in one request.",
                until=until,
                code=Reason.BATCHING_CALLER_WRITES,
            )
    return True


async def _iterate_expected_jobs(work: StepContext, held: set[str]) -> AsyncIterator[FlowJob]:
    """Yield jobs to which these ids may belong and that have not reached their callers."""
    job, tables = work.job, work.services.tables
    for identity in sorted(held):
        there = await tables.expected_caller_updates.get("url", identity)
        places = [(there.item.environment_id, there.item.job_id)] if there else []
        places.append(
            (job.environment_id, derive_flow_job_id(job.environment_id, identity, job.policy_id))
        )
        for place in places:
            with suppress(UnreadableRow):  # it blocks no other job
                if (kept := await tables.flow_jobs.get(*place)) and _is_before_callers(kept.item):
                    yield kept.item
    # The flow of a URL in a caller may be unknown until its job has verified the copy.
    own = await tables.environment_jobs.get(job.remediation_id, job.environment_job_id)
    if not own or not held.intersection(own.item.unmatched_trigger_urls):
        return
    async for unknown in tables.expected_caller_updates.query("unknown"):
        with suppress(UnreadableRow):
            kept = await tables.flow_jobs.get(unknown.item.environment_id, unknown.item.job_id)
            if kept is None or not _is_before_callers(kept.item):
                with suppress(Conflict, NotFound):  # each is checked once after that
                    await tables.expected_caller_updates.delete(unknown)
            elif kept.item.id != job.id and kept.item.original.url_id in {"", *held}:
                yield kept.item


async def wake_waiting_jobs(services: Services, before: FlowJob, after: FlowJob) -> None:
    """Wake the jobs that wait for this one, if it will not reach its callers soon."""
    until = services.now + services.settings.caller_batch_wait
    has_come = after.is_verified and not after.state_properties.precedes_callers
    if has_come or not _is_before_callers(before):
        return
    # Reasons that every job waits for: checking each time would cost more than it saves.
    if _can_start_caller_update_before(after, until) or after.reason_code in {
        Reason.THROTTLED,
        Reason.WAITING_FOR_MICROSOFT_KEY_LIST,
    }:
        return
    moves = services.tables.pending_caller_writes
    async for waits in read_readable(services, moves.scan(after.id)):
        place = (waits.item.environment_id, waits.item.job_id)
        await FLOW.wake_up(services, place, code=Reason.BATCHING_CALLER_WRITES)
        with suppress(Conflict, NotFound):
            await moves.delete(waits)


def build_pending_write(
    job: FlowJob, resource: str, *, is_done: bool = False
) -> PendingCallerWrite:
    """Return the row that shows other jobs that this job writes a resource."""
    return PendingCallerWrite(
        resource_id=hash_key(resource),
        environment_id=job.environment_id,
        job_id=job.id,
        held_ids=frozenset({job.original.url_id, *list_original_ids(job)} - {""}),
        is_written=is_done,
    )


def _is_before_callers(job: FlowJob) -> bool:
    has_callers = job.migration_method is MigrationMethod.UPDATE_CALLERS
    return has_callers and job.state_properties.precedes_callers


def _can_start_caller_update_before(job: FlowJob, until: datetime) -> bool:
    return (
        _is_before_callers(job)
        and not job.is_inactive
        and job.requested_command is None
        and job.reason_code != Reason.WAITING_FOR_PILOT_FLOWS
        and job.next_check_at is not None
        and job.next_check_at < until
    )


class CallerWriteBatch:
    """The other jobs that write the same resource. This invocation leases them until `stack` is
    closed.
    """

    def __init__(self, work: StepContext, resource: str, stack: AsyncExitStack) -> None:
        """Prepare to lease jobs that write `resource`. Closing `stack` releases the leases."""
        self._work = work
        self._resource = resource
        self._stack = stack
        self._due = set[str]()

    async def lease_waiting_jobs(self) -> AsyncIterator[StepContext]:
        """Lease and yield the jobs that wait to write the resource.

        Jobs that another invocation has leased are tried again for a moment, because that
        invocation will find the resource leased.
        """
        seen = set[str]()
        async for _ in iterate_read_attempts(self._work):
            is_busy = False
            async for kept in _read_ready_jobs(self._work, self._resource):
                job = kept.item
                if job.id in seen:
                    continue
                if job.lease.is_held(self._work.services.now):
                    is_busy = True
                    continue
                seen.add(job.id)
                if _can_be_batched(job):
                    with suppress(CmkflowError):  # the job's own invocation reports the error
                        yield await self._stack.enter_async_context(self._lease_job(kept))
            if not is_busy:
                return

    def make_job_due(self, job_id: str) -> None:
        """Make a job due as soon as its lease is released.

        A job for which this is not called waits as before.
        """
        self._due.add(job_id)

    @asynccontextmanager
    async def _lease_job(self, kept: StoredItem[FlowJob]) -> AsyncIterator[StepContext]:
        job, own, services = kept.item, self._work.job, self._work.services
        environment = self._work.environment
        if (job.environment_id, job.policy_id) != (own.environment_id, own.policy_id):
            environment = await require_linked_environment(
                services, job.environment_id, job.policy_id
            )
        held = await FLOW.claim(services, kept)
        try:
            async with held.keep_renewed():
                yield StepContext(held, environment)
        finally:
            job = held.job
            with suppress(CmkflowError):  # the lease expires anyway
                if job.id in self._due:
                    job = replace(job, next_check_at=services.now)
                    await FLOW.schedule_wake_up(services, job)
                await FLOW.send_messages(services, await held.end(job))


def _can_be_batched(job: FlowJob) -> bool:
    return (
        job.requested_command is None
        and job.reason_code in _MAY_WAIT_FOR
        and not job.needs_action
        and job.in_flight_until is None
        and job.consecutive_crashes == 0
    )


async def _read_ready_jobs(work: StepContext, resource: str) -> AsyncIterator[StoredItem[FlowJob]]:
    tables = work.services.tables
    for move in await tables.pending_caller_writes.read_all(hash_key(resource)):
        if not move.is_written and move.job_id != work.job.id:
            with suppress(UnreadableRow):  # it blocks no other job
                other = await tables.flow_jobs.get(move.environment_id, move.job_id)
                if other and other.item.step is FlowJobState.UPDATING_CALLERS:
                    yield other

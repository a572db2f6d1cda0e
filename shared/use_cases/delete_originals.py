"""Delete retired originals whose approved date has come.

The app takes one step for each due row and stores its result. It leases the flow job while it
checks and deletes the original, so a rollback that is requested at this time starts afterwards.
"""

import functools
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import catch_row_errors, read_readable, send_alert
from shared.domain.jobs import deletion as rules
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.durable_job import bump_fencing_token
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import RunArchiveState, reopen_archive
from shared.domain.jobs.transitions import wait_until, with_history
from shared.errors import (
    CmkflowError,
    Conflict,
    MustWait,
    PlatformMigrationInProgress,
    TransientError,
)
from shared.jobs.error_handling import apply_error
from shared.jobs.job_kinds import DELETION, FLOW
from shared.jobs.leased_job import LeasedJob
from shared.logs.fields import get_product_log
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem, format_sortable_time
from shared.steps.deleting import delete_original as step
from shared.steps.deleting.archive_runs import archive_run_page
from shared.steps.flows.original import find_original
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_linked_environment, require_write_allowed
from shared.use_cases.archive_runs import PARTS, build_run_archive

log = get_product_log(__name__)

#: Number of rows per run; fits into the time limit of a function.
MAX_DELETIONS = 50
#: Interval of checks whether a deleted original has left the Microsoft-key list.
_LISTED_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionRunResult:
    """How many deletions one run of the timer has processed."""

    checked: int
    deleted: int
    blocked: int


class _MicrosoftKeyLists:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._names: dict[str, frozenset[str]] = {}

    async def contains(self, job: FlowJob) -> bool:
        """Return whether the Microsoft-key list still contains this job's original."""
        home = job.environment_id
        if home not in self._names:
            self._names[home] = await step.read_ids_on_microsoft_key_list(self._services, home)
        return bool({job.original.flow_name, job.original.id} & self._names[home])


async def delete_originals(services: Services) -> DeletionRunResult:
    """Take a step of every deletion that is due, up to a limit.

    A row that is unreadable or meets an internal error is reported and does not affect others.
    """
    where = [
        Condition("next_check_at", "lt", format_sortable_time(services.now + timedelta(seconds=1)))
    ]
    table = services.tables.deletions
    due = [kept.item async for kept in read_readable(services, table.scan(where=where))]
    due.sort(key=lambda deletion: (deletion.next_check_at or services.now, deletion.job_id))
    deleted = blocked = looked_at = 0
    listed = _MicrosoftKeyLists(services)
    step_function = functools.partial(_run_step, listed=listed)
    for deletion in due[:MAX_DELETIONS]:
        looked_at += 1
        place = table.get_address(deletion)
        async with catch_row_errors(services, table.get_row_name(deletion)):
            before, after = await DELETION.run_due_step(
                services, place, step_function, outcome=_build_row_after_error
            )
            deleted += after.state is DeletionState.DELETED is not before.state
            if after.state is DeletionState.BLOCKED is not before.state:
                blocked += 1
                await send_alert(
                    services, after.reason_code, table.get_row_name(after), after.message
                )
    return DeletionRunResult(checked=looked_at, deleted=deleted, blocked=blocked)


async def _run_step(held: LeasedJob[Deletion], *, listed: _MicrosoftKeyLists) -> Deletion:
    step_function = _DeletionStep(held, listed)
    try:
        return await step_function.run()
    finally:
        await step_function.release_flow_job()


class _DeletionStep:
    def __init__(self, held: LeasedJob[Deletion], listed: _MicrosoftKeyLists) -> None:
        self._services = held.services
        self._listed = listed
        self._held = held
        self._work: StepContext | None = None

    @property
    def deletion(self) -> Deletion:
        return self._held.job

    async def store(self, deletion: Deletion) -> Deletion:
        """Store the row. Raises `LeaseLost` if the deletion was cancelled or scheduled again."""
        return await self._held.save(deletion)

    async def run(self) -> Deletion:
        services, deletion = self._services, self.deletion
        kept = await services.tables.flow_jobs.get(deletion.environment_id, deletion.job_id)
        if kept is None:
            return self._mark_cancelled("Its flow job no longer exists.")
        job = kept.item
        if job.lease.is_held(services.now):
            return deletion  # checked again in the next run
        if deletion.state is DeletionState.DELETED:
            return await self._record_in_flow_job(kept)
        environment = await require_linked_environment(services, job.environment_id, job.policy_id)
        work = StepContext(LeasedJob(FLOW, services, kept), environment)
        if job.requested_command or rules.find_retired_at(job) != deletion.retired_at:
            return await self._cancel_or_complete(work)
        if deletion.state is DeletionState.DELETING and await self._original_exists(work):
            await self.store(rules.mark_archiving_again(deletion, now=services.now))
        if deletion.state is DeletionState.SCHEDULED:
            await require_write_allowed(services, job.environment_id)
            await step.require_no_runs(work, self._held)
            await self.store(rules.mark_archiving(self.deletion, now=services.now))
        if not await self._archive_runs(job):
            text = "The run history is being archived."
            later = services.now + timedelta(seconds=1)
            return wait_until(
                self.deletion, text, until=later, now=services.now, code=Reason.ARCHIVING_FLOW_RUNS
            )
        await self.store(await step.search_callers_before_deletion(work, self.deletion))
        # A crash during the check may leave a grant that no step would revoke.
        await FLOW.schedule_wake_up(services, job)
        self._work = StepContext(await FLOW.claim(services, kept), environment)
        return await self._delete_original(self._work)

    async def _cancel_or_complete(self, work: StepContext) -> Deletion:
        """Cancel a deletion whose flow job is no longer retired as approved.

        If the app has already deleted the original, completes the deletion instead.
        """
        now = self._services.now
        if self.deletion.state is DeletionState.DELETING and not await self._original_exists(work):
            return rules.mark_deleted(self.deletion, now=now)
        return self._mark_cancelled("Its job is no longer retired as approved.")

    async def _original_exists(self, work: StepContext) -> bool:
        found = await find_original(work.services, work.environment, work.job)
        return found is not None

    async def _archive_runs(self, job: FlowJob) -> bool:
        """Archive more parts of the run history, and return whether it is complete."""
        services, table = self._services, self._services.tables.run_archives
        wanted = self.deletion.archive_runs_from or services.now
        kept = await table.get(job.environment_id, job.id)
        if kept is None:
            kept = await table.insert(
                build_run_archive(services, job, self.deletion.remediation_id)
            )
        # The original was restored since then.
        if kept.item.state is RunArchiveState.ORIGINAL_DELETED:
            kept = await table.replace(kept, replace(kept.item, state=RunArchiveState.IN_PROGRESS))
        for _ in range(PARTS):
            archive = kept.item
            if archive.state is RunArchiveState.IN_PROGRESS:
                kept = await table.replace(kept, await archive_run_page(services, archive))
            elif archive.state is RunArchiveState.ORIGINAL_DELETED or archive.started_at >= wanted:
                return True
            else:
                kept = await table.replace(kept, reopen_archive(archive, now=services.now))
        return False

    async def _delete_original(self, work: StepContext) -> Deletion:
        services, job = self._services, work.job
        archive = await services.tables.run_archives.get(job.environment_id, job.id)
        original = await step.read_deletable_original(
            work, self._held, archive.item if archive else None
        )
        if original:
            where = await step.archive_definition(work, original)

            async def record_intent_if_allowed() -> None:
                await work.require_write_allowed()
                recorded = rules.mark_deleting(self.deletion, now=services.now)
                await self.store(replace(recorded, archived_definition=where))
                # The lease is still valid and long enough for one request, and no rollback is
                # requested.
                await work.save(job)
                if work.job.requested_command:
                    raise MustWait(
                        "Its job is being rolled back.",
                        until=services.now,
                        code=Reason.ORIGINAL_NOT_RETIRED,
                    )

            await step.delete_original(work, original, record_intent_if_allowed)
        return rules.mark_deleted(self.deletion, now=services.now)

    async def _record_in_flow_job(self, kept: StoredItem[FlowJob]) -> Deletion:
        """Record the deletion in the flow job.

        Also records whether the Microsoft-key list still contains the original.
        """
        services, deletion, job = self._services, self.deletion, kept.item
        # Includes the lease of an invocation that crashed after the delete.
        updated = _with_deletion_entry(job, deletion)
        if job.leased_until:
            updated = bump_fencing_token(updated, settles_after=services.settings.in_flight_timeout)
        if updated != job and rules.find_retired_at(job) == deletion.retired_at:
            await services.tables.flow_jobs.replace(kept, updated)
        is_listed, until = await self._listed.contains(job), deletion.restorable_until
        asks_again = is_listed and until is not None and services.now < until
        again = services.now + _LISTED_AGAIN if asks_again else None
        return replace(
            deletion,
            is_on_microsoft_key_list=is_listed,
            next_check_at=again,
            consecutive_failures=0,
        )

    def _mark_cancelled(self, text: str) -> Deletion:
        return rules.mark_cancelled(self.deletion, text, now=self._services.now)

    async def release_flow_job(self) -> None:
        """Release the lease of the flow job.

        If an action was requested meanwhile, sends the job's message.
        """
        if self._work is None:
            return
        job = await self._work.held.end(self._work.job)
        if job.requested_command:
            await FLOW.send_messages(self._services, job)


def _with_deletion_entry(job: FlowJob, deletion: Deletion) -> FlowJob:
    text = f"The original was deleted, as approved by {deletion.approved_by}."
    if any(change.message == text for change in job.history):
        return job
    at = deletion.deleted_at or deletion.delete_at
    return with_history(job, FlowJobState.RETIRED, text, now=at)


def _build_row_after_error(
    services: Services, deletion: Deletion, err: Exception
) -> Deletion | None:
    """Return the row to store after an error, or None after an internal error."""
    now = services.now
    if isinstance(err, Conflict):
        return deletion  # the job or the flow was changed meanwhile: check again
    if deletion.state is DeletionState.DELETED and isinstance(err, CmkflowError):
        # It stays deleted, whatever prevents the app from reading the list.
        passes = isinstance(err, TransientError | MustWait | PlatformMigrationInProgress)
        again = now + services.settings.backoff_max_delay
        return replace(deletion, next_check_at=again if passes else None)
    after = apply_error(services, deletion, err)
    if after and after.state is DeletionState.BLOCKED:
        return rules.with_rescheduling_fix(after)
    if after and isinstance(err, MustWait) and err.code == Reason.ARCHIVING_FLOW_RUNS:
        return replace(after, archive_runs_from=now)
    return after

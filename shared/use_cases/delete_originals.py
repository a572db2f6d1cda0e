"""Delete retired originals whose approved date has come: one look at each row that is due.

A turn reads the row, does what fits, and writes what became of it. The job's row is leased while
the original is checked and deleted, so that a rollback cannot turn it on in between; an order that
comes meanwhile is obeyed afterwards. After a kill the next turn finds out what was done.
"""

import functools
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import one_row, readable
from shared.domain.jobs import deletion as rules
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.durable_job import bump_fencing_token
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import RunArchiveState, continued
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
from shared.log_fields import product_log
from shared.ports import Condition
from shared.reason import Reason
from shared.rows import StoredItem, sortable_time
from shared.services import Services
from shared.steps.deleting import delete_original as step
from shared.steps.deleting.archive_runs import archive_part
from shared.steps.flows.original import find_original
from shared.steps.step_context import StepContext
from shared.steps.write_permission import check_write_allowed, require_linked_environment
from shared.use_cases.archive_runs import PARTS, new_run_archive

log = product_log(__name__)

#: Rows of one round: well within the time that a function may take.
MOST = 50
#: How often a deleted original is looked for in the platform's list, until the bin is emptied.
_LISTED_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionRunResult:
    """What a round did."""

    checked: int
    deleted: int
    blocked: int


class _Listed:
    """The platform's lists of flows on Microsoft's key: one read in a round tells of all rows."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._names: dict[str, frozenset[str]] = {}

    async def has(self, job: FlowJob) -> bool:
        """Say whether the platform still counts the original of this job."""
        home = job.environment_id
        if home not in self._names:
            self._names[home] = await step.listed_names(self._services, home)
        return bool({job.flow_name, job.original_id} & self._names[home])


async def delete_originals(services: Services) -> DeletionRunResult:
    """Look at every deletion that is due; what has to wait is looked at again by a later round.

    A row that cannot be read, or that meets a defect, is told of and holds up no other.
    """
    where = [Condition("next_check_at", "lt", sortable_time(services.now + timedelta(seconds=1)))]
    table = services.tables.deletions
    due = [kept.item async for kept in readable(services, table.scan(where=where))]
    due.sort(key=lambda deletion: (deletion.due or services.now, deletion.job_id))
    deleted = stuck = looked_at = 0
    listed = _Listed(services)
    turn = functools.partial(_turn, listed=listed)
    for deletion in due[:MOST]:
        looked_at += 1
        place = table.address(deletion)
        async with one_row(services, table.name_of(deletion)):
            before, after = await DELETION.deliver(services, place, turn, outcome=_outcome)
            deleted += after.state is DeletionState.DELETED is not before.state
            if after.state is DeletionState.BLOCKED is not before.state:
                stuck += 1
                log.error(
                    "deletion blocked",
                    extra={
                        "display_name": after.display_name,
                        "code": after.code,
                        "text": after.reason,
                    },
                )
    return DeletionRunResult(checked=looked_at, deleted=deleted, blocked=stuck)


async def _turn(held: LeasedJob[Deletion], *, listed: _Listed) -> Deletion:
    """Do what fits now and return the row as it is to be written."""
    turn = _Turn(held, listed)
    try:
        return await turn.take()
    finally:
        await turn.let_go()


class _Turn:
    """One look at one deletion."""

    def __init__(self, held: LeasedJob[Deletion], listed: _Listed) -> None:
        self._services = held.services
        self._listed = listed
        self._held = held
        self._work: StepContext | None = None

    @property
    def deletion(self) -> Deletion:
        """Return the row as it was last written."""
        return self._held.job

    async def keep(self, deletion: Deletion) -> Deletion:
        """Write the row; raises `LeaseLost` if it was cancelled, or ordered anew."""
        return await self._held.save(deletion)

    async def take(self) -> Deletion:
        """Go on where the row stands."""
        services, deletion = self._services, self.deletion
        kept = await services.tables.flow_jobs.get(deletion.environment_id, deletion.job_id)
        if kept is None:
            return self._cancelled("Its flow job is gone.")
        job = kept.item
        if job.is_leased(services.now):
            return deletion  # looked at again in the next round
        if deletion.state is DeletionState.DELETED:
            return await self._report(kept)
        environment = await require_linked_environment(services, job.environment_id, job.policy_id)
        work = StepContext(LeasedJob(FLOW, services, kept), environment)
        if job.requested or rules.retired_at(job) != deletion.retired_at:
            return await self._give_up(work)
        if deletion.state is DeletionState.DELETING and await self._stands(work):
            await self.keep(rules.return_to_checks(deletion, now=services.now))
        if deletion.state is DeletionState.SCHEDULED:
            await check_write_allowed(services, job.environment_id)
            await step.check_runs(work, self._held)
            await self.keep(rules.start_archiving(self.deletion, now=services.now))
        if not await self._archive_runs(job):
            text = "Run summaries are being archived."
            later = services.now + timedelta(seconds=1)
            return wait_until(
                self.deletion, text, until=later, now=services.now, code=Reason.ARCHIVING_FLOW_RUNS
            )
        await self.keep(await step.search_callers(work, self.deletion))
        await FLOW.schedule_wake_up(
            services, job
        )  # of what a look that dies has lent: no step returns it
        self._work = StepContext(await FLOW.claim(services, kept), environment)
        return await self._delete(self._work)

    async def _give_up(self, work: StepContext) -> Deletion:
        """The job goes back, or was retired anew: an approval is for one retirement only."""
        now = self._services.now
        if self.deletion.state is DeletionState.DELETING and not await self._stands(work):
            return rules.mark_deleted(self.deletion, now=now)
        return self._cancelled("Its job is not retired as it was approved.")

    async def _stands(self, work: StepContext) -> bool:
        found = await find_original(work.services, work.environment, work.job)
        return found is not None

    async def _archive_runs(self, job: FlowJob) -> bool:
        """Archive a few more parts of the run summaries; says whether this has come to an end."""
        services, table = self._services, self._services.tables.run_archives
        wanted = self.deletion.archive_runs_from or services.now
        kept = await table.get(job.environment_id, job.id)
        if kept is None:
            kept = await table.insert(new_run_archive(services, job, self.deletion.remediation_id))
        if (
            kept.item.state is RunArchiveState.ORIGINAL_DELETED
        ):  # of an original that was restored since
            kept = await table.replace(kept, replace(kept.item, state=RunArchiveState.IN_PROGRESS))
        for _ in range(PARTS):
            archive = kept.item
            if archive.state is RunArchiveState.IN_PROGRESS:
                kept = await table.replace(kept, await archive_part(services, archive))
            elif archive.state is RunArchiveState.ORIGINAL_DELETED or archive.started_at >= wanted:
                return True
            else:
                kept = await table.replace(kept, continued(archive, now=services.now))
        return False

    async def _delete(self, work: StepContext) -> Deletion:
        """Check everything, note the intent, delete and read back."""
        services, job = self._services, work.job
        archive = await services.tables.run_archives.get(job.environment_id, job.id)
        original = await step.check_original(work, self._held, archive.item if archive else None)
        if original:
            where = await step.archive_definition(work, original)

            async def permit() -> None:
                await work.check_write_allowed()
                noted = rules.record_delete_intent(self.deletion, now=services.now)
                await self.keep(replace(noted, definition=where))
                # The lease is still ours, and long enough for one call; nobody asked for a
                # rollback.
                await work.save(job)
                if work.job.requested:
                    raise MustWait(
                        "Its job is rolled back.",
                        until=services.now,
                        code=Reason.ORIGINAL_NOT_RETIRED,
                    )

            await step.delete(work, original, permit)
        return rules.mark_deleted(self.deletion, now=services.now)

    async def _report(self, kept: StoredItem[FlowJob]) -> Deletion:
        """Say in the job that its original is deleted, and see whether it left the list."""
        services, deletion, job = self._services, self.deletion, kept.item
        # With the lease of a look that died after the delete.
        tells = _told(job, deletion)
        if job.leased_until:
            tells = bump_fencing_token(tells, settles_after=services.settings.in_flight_timeout)
        if tells != job and rules.retired_at(job) == deletion.retired_at:
            await services.tables.flow_jobs.replace(kept, tells)
        is_listed, until = await self._listed.has(job), deletion.restorable_until
        asks_again = is_listed and until is not None and services.now < until
        again = services.now + _LISTED_AGAIN if asks_again else None
        return replace(
            deletion, is_on_microsoft_key_list=is_listed, due=again, consecutive_failures=0
        )

    def _cancelled(self, text: str) -> Deletion:
        return rules.mark_cancelled(self.deletion, text, now=self._services.now)

    async def let_go(self) -> None:
        """Give the job's row back; an order that came meanwhile is announced."""
        if self._work is None:
            return
        job = await self._work.held.end(self._work.job)
        if job.requested:
            await FLOW.send(self._services, job)


def _told(job: FlowJob, deletion: Deletion) -> FlowJob:
    """Return the job with a line that says what became of its original, once."""
    text = f"The original is deleted, as {deletion.approved_by} had approved."
    if any(change.text == text for change in job.history):
        return job
    at = deletion.deleted_at or deletion.on
    return with_history(job, FlowJobState.RETIRED, text, now=at)


def _outcome(services: Services, deletion: Deletion, err: Exception) -> Deletion | None:
    """Return the row after an error; None for a defect."""
    now = services.now
    if isinstance(err, Conflict):
        return deletion  # the job or the flow was changed meanwhile: looked at again
    if deletion.state is DeletionState.DELETED and isinstance(err, CmkflowError):
        # It stays deleted, whatever keeps the app from looking at the list.
        passes = isinstance(err, TransientError | MustWait | PlatformMigrationInProgress)
        again = now + services.settings.backoff_max_delay
        return replace(deletion, due=again if passes else None)
    after = apply_error(services, deletion, err)
    if after and after.state is DeletionState.BLOCKED:
        return rules.mark_blocked(after)
    if after and isinstance(err, MustWait) and err.code == Reason.ARCHIVING_FLOW_RUNS:
        return replace(after, archive_runs_from=now)
    return after

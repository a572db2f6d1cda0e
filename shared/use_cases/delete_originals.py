"""Delete retired originals whose approved date has come: one look at each row that is due.

A turn reads the row, does what fits, and writes what became of it. The job's row is leased while
the original is checked and deleted, so that a rollback cannot turn it on in between; an order that
comes meanwhile is obeyed afterwards. After a kill the next turn finds out what was done.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.jobs import deletion as rules
from shared.domain.jobs.backoff import wait_after
from shared.domain.jobs.deletion import Deletion, DeletionState
from shared.domain.jobs.job import HISTORY_LENGTH, Change, FlowJob, JobState
from shared.domain.jobs.refusals import instruction_for
from shared.domain.jobs.run_archive import ArchiveState, continued
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    Blocked,
    Conflict,
    MigrationInProgress,
    ProductError,
    Refused,
    Throttled,
    Transient,
    Waiting,
)
from shared.ports import Condition
from shared.rows import Kept, instant
from shared.services import Services
from shared.steps.ending import delete_original as step
from shared.steps.ending.archive_runs import archive_part
from shared.steps.flows.original import find_original
from shared.steps.gate import linked_environment
from shared.steps.work import Work, claim, save, send
from shared.use_cases.archive_runs import PARTS, archive_of

log = logging.getLogger(__name__)

#: Rows of one round: well within the time that a function may take.
MOST = 50
#: How often a deleted original is looked for in the platform's list, until the bin is emptied.
_LISTED_AGAIN = timedelta(days=1)
#: What is said of jobs, and what a person does about a delete.
_ANEW = ("then retry", "then order the delete anew")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionRound:
    """What a round did."""

    looked_at: int
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


async def delete_originals(services: Services) -> DeletionRound:
    """Look at every deletion that is due; what has to wait is looked at again by a later round.

    A defect keeps no other row from its turn: it is raised when the round is over.
    """
    where = [Condition("due", "lt", instant(services.now + timedelta(seconds=1)))]
    due = [kept async for kept in services.tables.deletions.query(where=where)]
    due.sort(key=lambda kept: (kept.item.due or services.now, kept.item.job_id))
    deleted = stuck = looked_at = 0
    defects: list[Exception] = []
    listed = _Listed(services)
    for kept in due[:MOST]:
        before, looked_at = kept.item.state, looked_at + 1
        try:
            after = await _turn(services, kept, listed)
        except Exception as err:
            log.exception("defect in the delete of job %s", kept.item.job_id)
            defects.append(err)
            continue
        if after is None:
            continue
        deleted += after.state is DeletionState.DELETED is not before
        if after.state is DeletionState.BLOCKED:
            stuck += 1
            log.error("the delete of %s is blocked: %s", after.display_name, after.reason)
        log.info(
            "deletion %s: %s -> %s",
            after.job_id,
            before,
            after.state,
            extra={"job": after.job_id, "environment": after.environment_id},
        )
    if defects:
        raise defects[0]
    return DeletionRound(looked_at=looked_at, deleted=deleted, blocked=stuck)


async def _turn(services: Services, kept: Kept[Deletion], listed: _Listed) -> Deletion | None:
    """Do what fits now and return the row as it was written; None: somebody else has it."""
    turn = _Turn(services, kept, listed)
    try:
        try:
            return await turn.take()
        except Conflict:
            return None  # the row, its job or the flow was changed meanwhile: looked at again
        except ProductError as err:
            return await turn.keep(_outcome(services, turn.deletion, err))
        finally:
            await turn.let_go()
    except Conflict:
        return None


class _Turn:
    """One look at one deletion."""

    def __init__(self, services: Services, kept: Kept[Deletion], listed: _Listed) -> None:
        self._services = services
        self._listed = listed
        self._kept = kept
        self._work: Work | None = None

    @property
    def deletion(self) -> Deletion:
        """Return the row as it was last written."""
        return self._kept.item

    async def keep(self, deletion: Deletion) -> Deletion:
        """Write the row; raises `Conflict` if somebody has changed it."""
        self._kept = await self._services.tables.deletions.replace(self._kept, deletion)
        return deletion

    async def take(self) -> Deletion | None:
        """Go on where the row stands."""
        services, deletion = self._services, self.deletion
        kept = await services.tables.jobs.get(deletion.environment_id, deletion.job_id)
        if kept is None:
            return await self.keep(self._cancelled("Its flow job is gone."))
        job = kept.item
        if job.lease_until and job.lease_until > services.now:
            return None
        if deletion.state is DeletionState.DELETED:
            return await self._report(kept)
        environment = await linked_environment(services, job.environment_id, job.policy_id)
        work = Work(services, kept, environment)
        if job.requested or rules.retired_at(job) != deletion.retired_at:
            return await self._give_up(work)
        if deletion.state is DeletionState.DELETING and await self._stands(work):
            await self.keep(rules.not_made(deletion, now=services.now))
        if deletion.state is DeletionState.SCHEDULED:
            await work.permit_write()
            await step.check_runs(work)
            await self.keep(rules.begun(deletion, now=services.now))
        if not await self._archive_runs(job):
            text = "Run summaries are being archived."
            later = services.now + timedelta(seconds=1)
            now = services.now
            return await self.keep(rules.postponed(self.deletion, text, until=later, now=now))
        await self.keep(await step.search_callers(work, self.deletion))
        self._work = Work(services, await claim(services, kept), environment)
        return await self._delete(self._work)

    async def _give_up(self, work: Work) -> Deletion:
        """The job goes back, or was retired anew: an approval is for one retirement only."""
        now = self._services.now
        if self.deletion.state is DeletionState.DELETING and not await self._stands(work):
            return await self.keep(rules.ended(self.deletion, now=now))
        return await self.keep(self._cancelled("Its job is not retired as it was approved."))

    async def _stands(self, work: Work) -> bool:
        found = await find_original(work.services, work.environment, work.job)
        return found is not None

    async def _archive_runs(self, job: FlowJob) -> bool:
        """Archive a few more parts of the run summaries; says whether this has come to an end."""
        services, table = self._services, self._services.tables.run_archives
        wanted = self.deletion.archive_from or services.now
        kept = await table.get(job.environment_id, job.id)
        if kept is None:
            kept = await table.insert(archive_of(services, job, self.deletion.remediation_id))
        if kept.item.state is ArchiveState.GONE:  # of an original that was restored since
            kept = await table.replace(kept, replace(kept.item, state=ArchiveState.OPEN))
        for _ in range(PARTS):
            archive = kept.item
            if archive.state is ArchiveState.OPEN:
                kept = await table.replace(kept, await archive_part(services, archive))
            elif archive.state is ArchiveState.GONE or archive.began >= wanted:
                return True
            else:
                kept = await table.replace(kept, continued(archive, now=services.now))
        return False

    async def _delete(self, work: Work) -> Deletion:
        """Check everything, note the intent, delete and read back."""
        services, job = self._services, work.job
        archive = await services.tables.run_archives.get(job.environment_id, job.id)
        original = await step.check(work, self.deletion, archive.item if archive else None)
        if original:
            where = await step.archive_definition(work, original)
            await work.permit_write()
            noted = rules.noted(self.deletion, now=services.now)
            await self.keep(replace(noted, definition=where))
            # The lease is still ours, and long enough for one call; nobody asked for a rollback.
            await work.save(replace(job, lease_until=services.now + services.settings.job_lease))
            if work.job.requested:
                raise Waiting("Its job is rolled back.", until=services.now)
            await step.delete(work, original)
        return await self.keep(rules.ended(self.deletion, now=services.now))

    async def _report(self, kept: Kept[FlowJob]) -> Deletion:
        """Say in the job that its original is deleted, and see whether it left the list."""
        services, deletion, job = self._services, self.deletion, kept.item
        # With the lease of a look that died after the delete.
        told = replace(_told(job, deletion), lease="", lease_until=None)
        if told != job and rules.retired_at(job) == deletion.retired_at:
            await services.tables.jobs.replace(kept, told)
        is_listed, until = await self._listed.has(job), deletion.restorable_until
        asks_again = is_listed and until is not None and services.now < until
        again = services.now + _LISTED_AGAIN if asks_again else None
        return await self.keep(replace(deletion, is_listed=is_listed, due=again, failures=0))

    def _cancelled(self, text: str) -> Deletion:
        return rules.cancelled(self.deletion, text, now=self._services.now)

    async def let_go(self) -> None:
        """Give the job's row back; an order that came meanwhile is announced."""
        if self._work is None:
            return
        services, work = self._services, self._work
        kept = await save(services, work.kept, replace(work.job, lease="", lease_until=None))
        if kept.item.requested:
            attempt = kept.item.attempt + 1
            again = replace(kept.item, woken=False, due=services.now, attempt=attempt)
            await services.tables.jobs.replace(kept, again)
            await send(services, again)


def _told(job: FlowJob, deletion: Deletion) -> FlowJob:
    """Return the job with a line that says what became of its original, once."""
    text = f"The original is deleted, as {deletion.approved_by} had approved."
    if any(change.text == text for change in job.history):
        return job
    at = deletion.deleted_at or deletion.on
    line = Change(at=at, state=JobState.RETIRED, text=text)
    return replace(job, history=(*job.history, line)[-HISTORY_LENGTH:])


def _outcome(services: Services, deletion: Deletion, err: ProductError) -> Deletion:
    """Return the row after an expected error."""
    now, settings, text = services.now, services.settings, redact(str(err))
    if deletion.state is DeletionState.DELETED:
        # It stays deleted, whatever keeps the app from looking at the list.
        passes = isinstance(err, Transient | Waiting)
        return replace(deletion, due=now + settings.backoff_longest if passes else None)
    match err:
        case Waiting():
            until = max(err.until, now)
            later = rules.postponed(deletion, err.reason, until=until, now=now, code=err.code)
            return replace(later, archive_from=now) if err.code == "runs" else later
        case MigrationInProgress():
            reason = "The environment is being migrated."
            return rules.postponed(deletion, reason, until=now + settings.migration_poll, now=now)
        case Blocked():
            remedy = err.instruction.replace(*_ANEW)
            return rules.blocked(deletion, err.reason, remedy, code=err.code, now=now)
        case Refused():
            remedy = instruction_for(err.code, redact(err.detail)).replace(*_ANEW)
            return rules.blocked(deletion, text, remedy, code=err.code, now=now)
        case Throttled():
            until = now + (err.retry_after or settings.backoff_first)
            return rules.postponed(deletion, text, until=until, now=now)
        case Transient() if deletion.failures < settings.backoff_tries:
            failures = deletion.failures + 1
            wait = wait_after(
                failures,
                first=settings.backoff_first,
                longest=settings.backoff_longest,
                asked=err.retry_after,
            )
            later = rules.postponed(deletion, f"Tried again: {text}", until=now + wait, now=now)
            return replace(later, failures=failures)
        case _:
            remedy = "See whether the service is well, then order the delete anew."
            code = "transient" if isinstance(err, Transient) else "gone"
            return rules.blocked(deletion, text, remedy, code=code, now=now)

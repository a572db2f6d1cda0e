"""Lease a job's row for one invocation: renew, stage, write and release it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import with_request_count
from shared.domain.request_demand import RequestDemand
from shared.errors import CmkflowError, Conflict, LeaseLost, MustWait
from shared.jobs.fenced_rows import FencedRows
from shared.logs.fields import get_product_log
from shared.request_count import RequestCount
from shared.services import Services
from shared.state.rows import StoredItem, Table
from shared.state.tables import Tables

log = get_product_log(__name__)


def _keep_unchanged[J: DurableJob[Any]](job: J, _: J) -> J:
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRowKind[J: DurableJob[Any]]:
    """What `LeasedJob` needs to know about a kind of durable job, such as its table."""

    #: Its name in the log.
    title: str
    table: Callable[[Tables], Table[J]]
    #: Returns whether an invocation has nothing to do.
    is_ended: Callable[[J], bool] = lambda job: job.is_inactive
    #: Returns the requests to the flow service that the next invocation needs; None: it may start
    #: now.
    request_demand: Callable[[J], RequestDemand | None] = lambda _: None
    #: Takes over from the second job what others may write into a leased row, besides a wake-up.
    merge_concurrent: Callable[[J, J], J] = _keep_unchanged


@asynccontextmanager
async def keep_renewed(
    renew: Callable[[], Awaitable[None]], duration: timedelta
) -> AsyncIterator[None]:
    """Renew a lease in the background while the block runs. Stops if the lease is lost."""

    async def renew_regularly() -> None:
        while True:
            await asyncio.sleep(duration.total_seconds() / 3)
            try:
                await renew()
            except (LeaseLost, MustWait):
                return
            except CmkflowError as err:
                log.warning("lease not renewed", extra={"text": err})

    renewal = asyncio.ensure_future(renew_regularly())
    try:
        yield
    finally:
        renewal.cancel()


class LeasedJob[J: DurableJob[Any]]:
    """A job's row that one invocation has leased."""

    def __init__(self, kind: JobRowKind[J], services: Services, kept: StoredItem[J]) -> None:
        """Use a row that was written with this invocation's lease."""
        self.services = services
        self._kind = kind
        self._kept = kept
        self._table = kind.table(services.tables)
        self._fenced: dict[str, FencedRows[Any]] = {}
        self._writing = asyncio.Lock()
        #: Whether there are staged changes.
        self._is_ahead = False
        #: The requests of this invocation, and how many of them are in the history.
        self.calls = RequestCount()
        self._recorded_calls = 0

    @property
    def job(self) -> J:
        """Return the row as last written, with the changes that were staged since."""
        return self._kept.item

    def stage(self, job: J) -> J:
        """Stage a change of the row. The next write stores it.

        An invocation that crashes before that write loses the change. So the intent of a write
        outside the app must be saved with `save` before the write.
        """
        before = self.job
        # A renewal may have changed the row since `job` was read.
        calls = self.calls.made - self._recorded_calls
        known = self._with_concurrent_changes(with_request_count(job, before, calls), before)
        self._kept, self._is_ahead = replace(self._kept, item=known), True
        self._recorded_calls = self.calls.made
        self._log_state_change(before, known)
        return known

    async def flush(self) -> None:
        """Write the staged changes.

        Raises `LeaseLost` if another invocation has taken the row over.
        """
        if self._is_ahead:
            await self.renew()

    async def save(self, job: J) -> J:
        """Write the row, and renew the lease.

        Keeps what others have changed in the row since it was read, such as a command or a wake-up.
        Raises `LeaseLost` if another invocation, or a command, has taken the row over.
        """
        before = self.job
        # Including changes from a renewal since `job` was read.
        after = await self._write_job(
            lambda: self._kind.merge_concurrent(replace(job, consecutive_crashes=0), self.job),
            self._with_lease,
        )
        self._log_state_change(before, after)
        return after

    async def record_progress(self) -> None:
        """Record that the step has made progress, so that earlier crashes no longer count."""
        if self.job.consecutive_crashes > 1:
            await self.save(self.job)

    async def renew(self) -> None:
        """Renew the lease, and write the staged changes.

        Raises `LeaseLost` if another invocation has taken the row over.
        """
        await self._write_job(lambda: self.job, self._with_lease)

    async def ensure_lease(self, needs: timedelta) -> None:
        """Renew the lease if it expires within `needs`, the longest time of the next write.

        Raises `LeaseLost` if another invocation has taken the row over.
        """
        if not self.job.lease.is_held(self.services.now + needs):
            await self.renew()

    async def end(self, job: J, *, crashes: int = 0) -> J:
        """Write the result of a step and release the lease.

        Raises `LeaseLost` if another invocation has taken the row over.
        """

        def with_end(job: J) -> J:
            job = replace(
                job,
                leased_until=None,
                message_number=job.message_number + 1,
                consecutive_crashes=crashes,
            )
            if job.is_woken and not self._kind.is_ended(job):
                return replace(job, is_woken=False, next_check_at=self.services.now)
            return job

        before = self.job
        after = await self._write_job(lambda: self._kind.merge_concurrent(job, self.job), with_end)
        self._log_state_change(before, after, logs_same_state=not self._kind.is_ended(after))
        return after

    def open_rows[T](self, table: Table[T]) -> FencedRows[T]:
        """Return the rows of this job in another table. An invocation with an older lease cannot
        write them.
        """
        if table.name not in self._fenced:
            identity = self._table.get_address(self.job)[1]
            self._fenced[table.name] = FencedRows(
                table,
                identity,
                self.job.fencing_token,
                is_alone=self.job.in_flight_until is None,
            )
        return self._fenced[table.name]

    def keep_renewed(self) -> AbstractAsyncContextManager[None]:
        """Renew the lease in the background while the block runs."""
        return keep_renewed(self.renew, self.services.settings.job_lease_duration)

    def _log_state_change(self, before: J, after: J, *, logs_same_state: bool = False) -> None:
        if after.state is before.state and not logs_same_state:
            return
        identity = self._table.get_address(after)[1]
        log.info(
            "%s %s: %s -> %s",
            self._kind.title,
            identity,
            before.state,
            after.state,
            extra={"job": identity, "environment": after.environment_id, "text": after.message},
        )

    def _with_lease(self, job: J) -> J:
        return replace(
            job, leased_until=self.services.now + self.services.settings.job_lease_duration
        )

    def _with_concurrent_changes(self, job: J, row: J) -> J:
        return replace(
            self._kind.merge_concurrent(job, row),
            leased_until=row.leased_until,
            is_woken=row.is_woken,
            message_number=row.message_number,
        )

    async def _write_job(self, what: Callable[[], J], last: Callable[[J], J]) -> J:
        async with self._writing:
            before, made = self._kept, self.calls.made
            job = with_request_count(what(), before.item, made - self._recorded_calls)

            def with_row_fields(job: J, by: J) -> J:
                return last(replace(job, is_woken=by.is_woken, message_number=by.message_number))

            def merge_changes(fresh: J | None) -> J:
                if fresh is None or fresh.lease.holder != self.job.lease.holder:
                    raise LeaseLost
                return with_row_fields(self._kind.merge_concurrent(job, fresh), fresh)

            try:
                kept = await self._table.replace(before, with_row_fields(job, before.item))
            except Conflict:
                changed = await self._table.change(*self._table.get_address(job), merge_changes)
                if changed is None:
                    raise LeaseLost from None
                kept = changed
            # A renewal runs beside the step, which may have staged more by now.
            self._is_ahead = self._kept is not before
            if self._is_ahead:
                self._kept = replace(kept, item=self._with_concurrent_changes(self.job, kept.item))
            else:
                self._kept, self._recorded_calls = kept, made
            return kept.item

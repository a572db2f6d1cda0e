"""Deliver, hold, write, wake and announce the rows of durable jobs.

Any delivery of an open row sends the row's next message before it is completed, so a message may
be lost, doubled or late without harm; the timer that re-sends overdue rows covers the rest.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.domain.jobs.durable import UNDER_WAY, DurableJob, taken_over, unsettled
from shared.domain.jobs.transitions import retried
from shared.errors import Conflict, Defective, LeaseLost, NotFound, ProductError, Unavailable
from shared.jobs.fence import FencedRows
from shared.jobs.outcome import after_error
from shared.notices import cause_of, tell
from shared.ports import OutgoingMessage
from shared.reason import Reason
from shared.rows import Kept, Table, Tables
from shared.services import Services

log = logging.getLogger(__name__)

#: A message may come this much early: clocks differ.
EARLY = timedelta(seconds=1)
#: A job that waits for another is woken by it; this is for when all else failed.
UNTIL_WOKEN = timedelta(days=1)

_WITHOUT_A_WORD = (
    "One delivery after the other ended without a word: the process died, or the function took"
    " longer than it may."
)

type Outcome[J] = Callable[[Services, J, Exception], J | None]


def _nothing_more[J: DurableJob[Any]](job: J, _: J) -> J:
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind[J: DurableJob[Any]]:
    """One kind of durable job."""

    #: What the log calls it.
    title: str
    table: Callable[[Tables], Table[J]]
    #: Its queue, and what a message calls the partition of the row; none: a timer looks at rows.
    queue: str = ""
    partition: str = ""
    #: Says whether a delivery has nothing to do.
    is_over: Callable[[J], bool] = lambda job: job.is_finished
    #: Takes over what others may write into a row that is held, besides a wake-up, from the second.
    with_what_came: Callable[[J, J], J] = _nothing_more

    async def deliver(
        self,
        services: Services,
        place: tuple[str, str],
        step: Callable[["Held[J]"], Awaitable[J]],
        *,
        outcome: Outcome[J] = after_error,
    ) -> tuple[J, J]:
        """Look at a row and do what is due; returns it as it was before and as it is now.

        Raises `NotFound` if there is no such row; any other exception is a defect of ours.
        """
        while True:
            kept = await self.table(services.tables).get(*place)
            if kept is None:
                message = f"There is no {self.title} {place[1]} in {self.partition} {place[0]}."
                raise NotFound(message)
            before = kept.item
            if self.is_over(before):
                return before, before
            if before.is_held(services.now) or (before.due or services.now) > services.now + EARLY:
                await self.send(services, before)
                return before, before
            try:
                held = await self.claim(services, kept)
            except Conflict:
                continue  # whoever was faster may have changed what is to be done
            try:
                after = await self._step(held, step, outcome)
            except LeaseLost:
                return before, before  # whoever has the row announces it
            await self.send(services, after)
            return before, after

    async def _step(
        self, held: "Held[J]", step: Callable[["Held[J]"], Awaitable[J]], outcome: Outcome[J]
    ) -> J:
        """Do one step and write its outcome; the lease ends with it."""
        before, services = held.job, held.services
        try:
            if before.crashes > services.settings.defect_tries:
                raise Defective(_WITHOUT_A_WORD)
            async with held.renewed():
                job = await step(held)
        except LeaseLost:
            raise
        except Exception as err:  # noqa: BLE001 -- the edge of a delivery
            job = await self._after(held, err, outcome, crashes=before.crashes)
        done = await held.end(job)
        if done.code == Reason.DEFECT:
            await tell(
                services, Reason.DEFECT, self.table(services.tables).name_of(done), done.reason
            )
        identity = self.table(services.tables).address(done)[1]
        log.info(
            "%s %s: %s -> %s",
            self.title,
            identity,
            before.state,
            done.state,
            extra={"job": identity, "environment": done.environment_id, "reason": done.reason},
        )
        return done

    async def _after(
        self, held: "Held[J]", err: Exception, outcome: Outcome[J], *, crashes: int
    ) -> J:
        """Return what becomes of the row after an error; raises a defect that is tried again."""
        services = held.services
        after = outcome(services, held.job, err)
        if after is None and crashes >= services.settings.defect_tries:
            after = outcome(services, held.job, Defective(cause_of(err)))
        if after is None:
            # At once, so that the broker's redelivery is the retry of a defect.
            await held.end(held.job, crashes=crashes)
            raise err
        # What was not answered may have been done, or be done later.
        unheard = isinstance(err, Unavailable)
        return unsettled(after, services.now + UNDER_WAY) if unheard else after

    async def claim(self, services: Services, kept: Kept[J]) -> "Held[J]":
        """Take the row for one delivery; raises `Conflict` if somebody was faster."""
        until = services.now + services.settings.job_lease
        job = taken_over(kept.item)
        job = replace(job, lease_until=until, woken=False, crashes=job.crashes + 1)
        return Held(self, services, await self.table(services.tables).replace(kept, job))

    async def order(
        self,
        services: Services,
        place: tuple[str, str],
        ordered: Callable[[J], J | None],
        *,
        takes_over: bool = False,
    ) -> J | None:
        """Write what an order makes of a row, and announce it; None: it makes nothing of it.

        `takes_over`: a delivery that holds the row may not write it any more.
        """

        def change(job: J | None) -> J | None:
            new = ordered(job) if job else None
            if new is None:
                return None
            new = replace(new, attempt=new.attempt + 1)
            return taken_over(new) if takes_over else new

        kept = await self.table(services.tables).change(*place, change)
        if kept is None:
            return None
        await self.send(services, kept.item)
        return kept.item

    async def wake(
        self,
        services: Services,
        place: tuple[str, str],
        *,
        code: str | None = None,
        even_blocked: bool = False,
    ) -> None:
        """Have a job looked at now if it waits for the reason `code` (None: for any).

        `even_blocked`: also if it is blocked for that reason.
        """

        def awake(job: J | None) -> J | None:
            if job is None:
                return None
            if job.is_held(services.now):
                return replace(job, woken=True)
            if code is not None and job.code != code:
                return None
            if job.due is not None:
                return replace(job, due=services.now, attempt=job.attempt + 1)
            if not even_blocked:
                return None
            back = retried(job, "What it waited for has happened.", now=services.now)
            return replace(back, attempt=job.attempt + 1)

        kept = await self.table(services.tables).change(*place, awake)
        if kept and not kept.item.is_held(services.now):
            await self.send(services, kept.item)

    async def send(self, services: Services, job: J) -> None:
        """Send the message that makes somebody look at this row when it is due.

        While somebody holds the row, that is when the lease ends: whoever holds it may be dead.
        """
        held = job.is_held(services.now)
        due = job.lease_until if held else job.due
        if due is None or not self.queue:
            return
        partition, key = self.table(services.tables).address(job)
        # Not the id of the message that found the row held: it would be dropped as a duplicate.
        step = f"held/{job.lease_number}" if held else f"{job.state}/{job.attempt}"
        await services.messages.send(
            OutgoingMessage(
                queue=self.queue,
                message_id=f"{key}/{step}",
                body={self.partition: partition, "job": key},
                # Not at once because it is nearly due: it would come back until it is.
                due=None if due <= services.now else due,
            )
        )


class Held[J: DurableJob[Any]]:
    """One delivery's hold on a row."""

    def __init__(self, kind: Kind[J], services: Services, kept: Kept[J]) -> None:
        """Take a row that carries this delivery's lease."""
        self.services = services
        self._kind = kind
        self._kept = kept
        self._table = kind.table(services.tables)
        self._fenced: dict[str, FencedRows[Any]] = {}
        self._writing = asyncio.Lock()

    @property
    def job(self) -> J:
        """Return the row as it was last written."""
        return self._kept.item

    async def save(self, job: J) -> J:
        """Write the row, and renew the lease.

        What came meanwhile is kept: an order, a wake-up, a new remediation. Raises `LeaseLost` if
        another delivery, or an order, has taken the row over.
        """
        return await self._write(lambda: replace(job, crashes=0), self._leased)

    async def advanced(self) -> None:
        """Note that the step has got further, where deliveries before this one have died."""
        if self.job.crashes > 1:
            await self.save(self.job)

    async def renew(self) -> None:
        """Hold the row for longer; raises `LeaseLost`."""
        await self._write(lambda: self.job, self._leased)

    async def permit(self, needs: timedelta) -> None:
        """Return if a write that may take as long as `needs` may begin; raises `LeaseLost`."""
        if not self.job.is_held(self.services.now + needs):
            await self.renew()

    async def end(self, job: J, *, crashes: int = 0) -> J:
        """Write the outcome of a step; the lease ends with it. Raises `LeaseLost`."""

        def ended(job: J) -> J:
            job = replace(job, lease_until=None, attempt=job.attempt + 1, crashes=crashes)
            if job.woken and not self._kind.is_over(job):
                return replace(job, woken=False, due=self.services.now)
            return job

        return await self._write(lambda: self._kind.with_what_came(job, self.job), ended)

    def rows[T](self, table: Table[T]) -> FencedRows[T]:
        """Return the rows of this job in another table, which older leases may not write."""
        if table.name not in self._fenced:
            identity = self._table.address(self.job)[1]
            store, number = self.services.tables.store, self.job.lease_number
            self._fenced[table.name] = FencedRows(store, table, identity, number)
        return self._fenced[table.name]

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew the lease while a step works: what it reads may take longer than one."""
        beat = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            beat.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.services.settings.job_lease.total_seconds() / 3)
            try:
                await self.renew()
            except LeaseLost:
                return  # the step sees it at its next write
            except ProductError as err:
                log.warning("a lease was not renewed, which is tried again: %s", err)

    def _leased(self, job: J) -> J:
        return replace(job, lease_until=self.services.now + self.services.settings.job_lease)

    async def _write(self, what: Callable[[], J], last: Callable[[J], J]) -> J:
        async with self._writing:
            job = what()

            def signed(job: J, by: J) -> J:
                return last(replace(job, woken=by.woken, attempt=by.attempt))

            def merged(fresh: J | None) -> J:
                if fresh is None or fresh.lease_number != self.job.lease_number:
                    raise LeaseLost
                return signed(self._kind.with_what_came(job, fresh), fresh)

            try:
                self._kept = await self._table.replace(self._kept, signed(job, self.job))
            except Conflict:
                kept = await self._table.change(*self._table.address(job), merged)
                if kept is None:
                    raise LeaseLost from None
                self._kept = kept
            return self.job

"""Deliver, hold, write, wake and announce the rows of durable jobs.

Any delivery of an open row sends the row's next message before it is completed, so a message may
be lost, doubled or late without harm; the timer that re-sends overdue rows covers the rest.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.alerts import cause_of, tell
from shared.domain.jobs.durable_job import (
    UNDER_WAY,
    DurableJob,
    bump_fencing_token,
    mark_write_in_flight,
)
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import resume
from shared.domain.jobs.wake_up import WakeUp
from shared.domain.request_demand import RequestDemand
from shared.errors import (
    Conflict,
    InternalErrorRepeated,
    LeaseLost,
    MustWait,
    NotFound,
    ServiceUnavailable,
    ThrottledError,
)
from shared.jobs.error_handling import apply_error
from shared.jobs.leased_job import JobRowKind, LeasedJob
from shared.ports import QueueMessage
from shared.reason import Reason
from shared.request_count import counted_in
from shared.rows import StoredItem
from shared.services import Services

#: A message may come this much early: clocks differ.
EARLY = timedelta(seconds=1)
#: What is due later than this has no message: the timer sends it, by its reminder.
SOON = timedelta(minutes=5)
#: A job that waits for another is woken by it; this is for when all else failed.
UNTIL_WOKEN = timedelta(days=1)

#: Reasons of which people are told at once: nothing else would let them look.
_TOLD = {Reason.INTERNAL_ERROR, Reason.BOTH_OFF}

_WITHOUT_A_WORD = (
    "One delivery after the other ended without a word: the process died, or the function took"
    " longer than it may."
)

type Outcome[J] = Callable[[Services, J, Exception], J | None]
type Wait[J] = Callable[[Services, J], Awaitable[None]]


async def _for_nothing[J](_: Services, __: J) -> None:
    """Let the step begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind[J: DurableJob[Any]](JobRowKind[J]):
    """One kind of durable job."""

    #: Its queue, and what a message calls the partition of the row; none: a timer looks at rows.
    queue: str = ""
    partition: str = ""
    #: Says whether the timer looks at a row although it is not due: it waits for another row, which
    #: may have ended without a word, or has lent what it may have to return.
    is_watched: Callable[[J], bool] = lambda _: False

    async def deliver(
        self,
        services: Services,
        place: tuple[str, str],
        step: Callable[[LeasedJob[J]], Awaitable[J]],
        *,
        outcome: Outcome[J] = apply_error,
        waits: Wait[J] = _for_nothing,
        begun: Callable[[J], J] = lambda job: job,
    ) -> tuple[J, J]:
        """Look at a row and do what is due; returns it as it was before and as it is now.

        `waits` raises `MustWait` while what the step waits for is not there: no call is taken for
        that. `begun` makes of the row what it is while the step works, before anything can fail.
        Raises `NotFound` if there is no such row; any other exception is a defect of ours.
        """
        while True:
            kept = await self.table(services.tables).get(*place)
            if kept is None:
                message = f"There is no {self.title} {place[1]} in {self.partition} {place[0]}."
                raise NotFound(message)
            before = kept.item
            if self.is_ended(before):
                return before, before
            if (
                before.is_leased(services.now)
                or (before.due or services.now) > services.now + EARLY
            ):
                await self.send(services, before)
                return before, before
            async with AsyncExitStack() as turn:
                try:
                    await waits(services, before)
                    need = self._needs(services, before)
                    await turn.enter_async_context(services.request_budget.reserve(need))
                except (MustWait, ThrottledError) as err:  # nothing was begun
                    asleep = await self._asleep(services, kept, outcome(services, before, err))
                    if asleep is None:
                        continue
                    return before, asleep
                try:
                    held = await self.claim(services, replace(kept, item=begun(before)))
                except Conflict:
                    continue  # whoever was faster may have changed what is to be done
                try:
                    after = await self._step(held, step, outcome)
                except LeaseLost:
                    return before, before  # whoever has the row announces it
            await self.send(services, after)
            return before, after

    def _needs(self, services: Services, job: J) -> RequestDemand | None:
        need = self.request_demand(job)
        return replace(need, row=self.table(services.tables).name_of(job)) if need else None

    async def _asleep(self, services: Services, kept: StoredItem[J], job: J | None) -> J | None:
        """Write when a row is to be looked at again, and announce it; None: somebody was faster."""
        assert job is not None  # to wait is no defect
        job = replace(job, message_number=job.message_number + 1, is_woken=False)
        try:
            await self.table(services.tables).replace(kept, job)
        except Conflict:
            return None
        await self.send(services, job)
        return job

    async def _step(
        self, held: LeasedJob[J], step: Callable[[LeasedJob[J]], Awaitable[J]], outcome: Outcome[J]
    ) -> J:
        """Do one step and write its outcome; the lease ends with it."""
        before, services = held.job, held.services
        try:
            if before.consecutive_crashes > services.settings.internal_error_max_attempts:
                raise InternalErrorRepeated(_WITHOUT_A_WORD)
            async with held.renewed():
                with counted_in(held.calls):
                    job = await step(held)
        except LeaseLost:
            raise
        except Exception as err:  # noqa: BLE001 -- the edge of a delivery
            job = await self._after(held, err, outcome, crashes=before.consecutive_crashes)
        done = await held.end(job)
        if done.code in _TOLD:
            await tell(services, done.code, self.table(services.tables).name_of(done), done.reason)
        return done

    async def _after(
        self, held: LeasedJob[J], err: Exception, outcome: Outcome[J], *, crashes: int
    ) -> J:
        """Return what becomes of the row after an error; raises a defect that is tried again."""
        services = held.services
        after = outcome(services, held.job, err)
        if after is None and crashes >= services.settings.internal_error_max_attempts:
            after = outcome(services, held.job, InternalErrorRepeated(cause_of(err)))
        if after is None:
            # At once, so that the broker's redelivery is the retry of a defect.
            await held.end(held.job, crashes=crashes)
            raise err
        # What was not answered may have been done, or be done later.
        unheard = isinstance(err, ServiceUnavailable)
        return mark_write_in_flight(after, services.now + UNDER_WAY) if unheard else after

    async def claim(self, services: Services, kept: StoredItem[J]) -> LeasedJob[J]:
        """Take the row for one delivery; raises `Conflict` if somebody was faster."""
        until = services.now + services.settings.job_lease_duration
        job = bump_fencing_token(kept.item, settles_after=services.settings.in_flight_timeout)
        job = replace(
            job, leased_until=until, is_woken=False, consecutive_crashes=job.consecutive_crashes + 1
        )
        return LeasedJob(self, services, await self.table(services.tables).replace(kept, job))

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
            new = replace(new, message_number=new.message_number + 1)
            bound = services.settings.in_flight_timeout
            return bump_fencing_token(new, settles_after=bound) if takes_over else new

        kept = await self.change(services, place, change)
        if kept is None:
            return None
        await self.send(services, kept.item)
        return kept.item

    async def wake_up(
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
            if job.is_leased(services.now) and not job.needs_action:
                return replace(job, is_woken=True)
            if code is not None and job.code != code:
                return None
            if job.due is not None:
                return replace(job, due=services.now, message_number=job.message_number + 1)
            if not even_blocked:
                return None
            back = resume(job, "What it waited for has happened.", now=services.now)
            # Whoever holds a row that stands still returns its loans, as the next step would.
            back = bump_fencing_token(back, settles_after=services.settings.in_flight_timeout)
            return replace(back, message_number=job.message_number + 1)

        kept = await self.change(services, place, awake)
        if kept and not kept.item.is_leased(services.now):
            await self.send(services, kept.item)

    async def change(
        self, services: Services, place: tuple[str, str], change: Callable[[J | None], J | None]
    ) -> StoredItem[J] | None:
        """Change a row as `Table.change` does, and write its reminder first where it needs one."""

        async def remind(before: J | None, after: J) -> None:
            was_due = before is not None and before.due and before.due <= services.now + SOON
            if after.due is not None and not was_due:
                await self.schedule_wake_up(services, after)

        return await self.table(services.tables).change(*place, change, first=remind)

    async def schedule_wake_up(self, services: Services, *jobs: J) -> None:
        """Have the timer look at rows from now on: before they are written, due as they were not.

        See `shared/jobs/due_scan.py`.
        """
        if self.queue:
            now, name_of = services.now, self.table(services.tables).name_of
            at = now + services.settings.overdue_delay
            await services.tables.wake_ups.upsert(
                *(WakeUp(wake_at=at, row=name_of(job), written_at=now) for job in jobs)
            )

    async def send(self, services: Services, *jobs: J) -> None:
        """Send the messages that make somebody look at these rows when they are due, if soon.

        While somebody holds a row, that is when the lease ends: whoever holds it may be dead.
        """
        messages = [message for job in jobs if (message := self._message(services, job))]
        if messages:
            await services.messages.send(*messages)

    def _message(self, services: Services, job: J) -> QueueMessage | None:
        held = job.is_leased(services.now)
        due = job.leased_until if held else job.due
        if due is None or due > services.now + SOON or not self.queue:
            return None
        partition, key = self.table(services.tables).address(job)
        # Not the id of the message that found the row held: it would be dropped as a duplicate.
        step = f"held/{job.fencing_token}" if held else f"{job.state}/{job.message_number}"
        return QueueMessage(
            queue=self.queue,
            message_id=f"{key}/{step}",
            body={self.partition: partition, "job": key},
            # Not at once because it is nearly due: it would come back until it is.
            due=None if due <= services.now else due,
        )

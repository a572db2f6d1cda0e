"""Run the steps of durable jobs: read, lease and write rows, and send their messages.

A message may be lost, repeated or late without harm: the row says what to do, and the timer sends
the messages of overdue rows again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.alerts import format_error_cause, send_alert
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
from shared.jobs.traces import build_trace_properties
from shared.logs.fields import log_with
from shared.ports import QueueMessage
from shared.reason import Reason
from shared.request_count import count_requests_in
from shared.services import Services
from shared.state.rows import StoredItem

#: How early a message may arrive, because clocks differ.
EARLY = timedelta(seconds=1)
#: A row that is due later has no message: the timer sends it, from its wake-up.
SOON = timedelta(minutes=5)
#: A job that waits for another is woken by it; this time is for when that fails.
UNTIL_WOKEN = timedelta(days=1)

#: Reasons that are reported at once, because nobody would notice them otherwise.
_ALERTED = {Reason.INTERNAL_ERROR, Reason.BOTH_OFF}

_STOPPED_WITHOUT_ERROR = (
    "Several invocations in a row stopped without an error: the process crashed, or the function "
    "reached its time limit."
)

type Outcome[J] = Callable[[Services, J, Exception], J | None]
type Wait[J] = Callable[[Services, J], Awaitable[None]]


async def _do_not_wait[J](_: Services, __: J) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind[J: DurableJob[Any]](JobRowKind[J]):
    """A kind of durable job, with the functions that run its steps and write its rows."""

    #: Its queue, and the name of the row's partition in a message; empty: a timer runs it instead.
    queue: str = ""
    partition: str = ""
    #: Returns whether the timer checks a row that is not due: it waits for another row that may
    #: have ended without waking it, or has grants to revoke.
    is_watched: Callable[[J], bool] = lambda _: False
    #: Returns the ids by which its spans and log lines are found.
    ids: Callable[[J], Mapping[str, str]] = lambda job: {"environment": job.environment_id}

    async def run_due_step(
        self,
        services: Services,
        place: tuple[str, str],
        step: Callable[[LeasedJob[J]], Awaitable[J]],
        *,
        outcome: Outcome[J] = apply_error,
        waits: Wait[J] = _do_not_wait,
        begun: Callable[[J], J] = lambda job: job,
    ) -> tuple[J, J]:
        """Run the step of a row if it is due.

        Return the row as it was read, and as this invocation left it. `outcome` returns the row
        after an error, or None if the error is internal. `waits` is called before requests are
        reserved, and raises `MustWait` while the step cannot start. `begun` returns the row as it
        is while the step runs. Raises `NotFound` if there is no such row, and internal errors.
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
                before.lease.is_held(services.now)
                or (before.next_check_at or services.now) > services.now + EARLY
            ):
                await self.send_messages(services, before)
                return before, before
            async with AsyncExitStack() as turn:
                try:
                    await waits(services, before)
                    demand = self._estimate_demand(services, before)
                    await turn.enter_async_context(services.request_budget.reserve(demand))
                except (MustWait, ThrottledError) as err:  # nothing was started
                    waiting = await self._save_waiting_row(
                        services, kept, outcome(services, before, err)
                    )
                    if waiting is None:
                        continue
                    return before, waiting
                try:
                    held = await self.claim(services, replace(kept, item=begun(before)))
                except Conflict:
                    continue  # the other invocation may have changed what is due
                try:
                    after = await self._run_step(held, step, outcome)
                except LeaseLost:
                    return before, before  # the invocation with the lease sends the message
            await self.send_messages(services, after)
            return before, after

    def _estimate_demand(self, services: Services, job: J) -> RequestDemand | None:
        demand = self.request_demand(job)
        return (
            replace(demand, row=self.table(services.tables).get_row_name(job)) if demand else None
        )

    async def _save_waiting_row(
        self, services: Services, kept: StoredItem[J], job: J | None
    ) -> J | None:
        """Write a waiting row and send its message. Return None if another writer was faster."""
        assert job is not None  # waiting is not an internal error
        job = replace(job, message_number=job.message_number + 1, is_woken=False)
        try:
            await self.table(services.tables).replace(kept, job)
        except Conflict:
            return None
        await self.send_messages(services, job)
        return job

    async def _run_step(
        self, held: LeasedJob[J], step: Callable[[LeasedJob[J]], Awaitable[J]], outcome: Outcome[J]
    ) -> J:
        services, ids = held.services, self.ids(held.job)
        attributes = {f"cmk.{name}": text for name, text in ids.items()}
        name = f"{self.title} {held.job.step}"
        with services.telemetry.span(name, attributes=attributes) as span, log_with(**ids):
            done = await self._run_recorded_step(held, step, outcome)
            span.set_attributes({"cmk.state": str(done.state), "cmk.reason": done.reason_code})
            if done.needs_action:
                span.fail(done.reason_code)
        if done.next_check_at is not None:
            wait = max(done.next_check_at - services.now, timedelta(0)).total_seconds()
            labels = {"job": self.title, "reason": done.reason_code or "next step"}
            services.telemetry.measure("cmk.wait.seconds", wait, labels)
        return done

    async def _run_recorded_step(
        self, held: LeasedJob[J], step: Callable[[LeasedJob[J]], Awaitable[J]], outcome: Outcome[J]
    ) -> J:
        before, services = held.job, held.services
        try:
            if before.consecutive_crashes > services.settings.internal_error_max_attempts:
                raise InternalErrorRepeated(_STOPPED_WITHOUT_ERROR)
            async with held.keep_renewed():
                with count_requests_in(held.calls):
                    job = await step(held)
        except LeaseLost:
            raise
        except Exception as err:  # noqa: BLE001 -- the boundary of an invocation
            job = await self._handle_error(held, err, outcome, crashes=before.consecutive_crashes)
        done = await held.end(job)
        if done.reason_code in _ALERTED:
            await send_alert(
                services,
                done.reason_code,
                self.table(services.tables).get_row_name(done),
                done.message,
            )
        return done

    async def _handle_error(
        self, held: LeasedJob[J], err: Exception, outcome: Outcome[J], *, crashes: int
    ) -> J:
        """Return the row after an error. Raises an internal error again, except in the last
        attempt.
        """
        services = held.services
        after = outcome(services, held.job, err)
        if after is None and crashes >= services.settings.internal_error_max_attempts:
            after = outcome(services, held.job, InternalErrorRepeated(format_error_cause(err)))
        if after is None:
            # Now, so that the broker's redelivery is the retry.
            await held.end(held.job, crashes=crashes)
            raise err
        # A write without an answer may have taken effect, or may yet.
        is_unanswered = isinstance(err, ServiceUnavailable)
        return mark_write_in_flight(after, services.now + UNDER_WAY) if is_unanswered else after

    async def claim(self, services: Services, kept: StoredItem[J]) -> LeasedJob[J]:
        """Lease the row for one invocation. Raises `Conflict` if the row has changed."""
        until = services.now + services.settings.job_lease_duration
        job = bump_fencing_token(kept.item, settles_after=services.settings.in_flight_timeout)
        job = replace(
            job, leased_until=until, is_woken=False, consecutive_crashes=job.consecutive_crashes + 1
        )
        return LeasedJob(self, services, await self.table(services.tables).replace(kept, job))

    async def apply_command(
        self,
        services: Services,
        place: tuple[str, str],
        command: Callable[[J], J | None],
        *,
        takes_over: bool = False,
    ) -> J | None:
        """Apply a command to a row and send its message.

        Return None if there is no row or the command changes nothing. `takes_over`: the command
        prevents an invocation that has leased the row from writing it.
        """

        def apply_command_if_row_exists(job: J | None) -> J | None:
            return (
                self._apply_command(services, job, command, takes_over=takes_over) if job else None
            )

        kept = await self.change(services, place, apply_command_if_row_exists)
        if kept is None:
            return None
        await self.send_messages(services, kept.item)
        return kept.item

    async def apply_command_to_each(
        self,
        services: Services,
        rows: Sequence[StoredItem[J]],
        command: Callable[[J], J | None],
        *,
        takes_over: bool = False,
    ) -> list[J]:
        """Apply a command to rows, several in each transaction. Return the rows that it changes.

        If a row has changed since it was read, the rows of its transaction are read again.
        """
        changes = [
            (row, new)
            for row in rows
            if (new := self._apply_command(services, row.item, command, takes_over=takes_over))
        ]
        due = [new for row, new in changes if self._needs_wake_up(services, row.item, new)]
        await self.schedule_wake_up(services, *due)
        table, done = self.table(services.tables), list[J]()
        async for jobs, is_stored in table.replace_many(changes):
            if is_stored:
                await self.send_messages(services, *jobs)
                done += jobs
                continue
            for job in jobs:
                place = table.get_address(job)
                new = await self.apply_command(services, place, command, takes_over=takes_over)
                done += [new] if new else []
        return done

    def _apply_command(
        self, services: Services, job: J, command: Callable[[J], J | None], *, takes_over: bool
    ) -> J | None:
        new = command(job)
        if new is None:
            return None
        new = replace(new, message_number=new.message_number + 1)
        bound = services.settings.in_flight_timeout
        return bump_fencing_token(new, settles_after=bound) if takes_over else new

    async def wake_up(
        self,
        services: Services,
        place: tuple[str, str],
        *,
        code: str | None = None,
        even_blocked: bool = False,
    ) -> None:
        """Make a job due now if it waits for the reason `code` (None: for any reason).

        While a step runs, the job becomes due at the end of the step, whatever its reason.
        `even_blocked`: also if it is blocked for that reason.
        """

        def with_wake_up(job: J | None) -> J | None:
            if job is None:
                return None
            if job.lease.is_held(services.now) and not job.needs_action:
                return replace(job, is_woken=True)
            if code is not None and job.reason_code != code:
                return None
            if job.next_check_at is not None:
                return replace(
                    job, next_check_at=services.now, message_number=job.message_number + 1
                )
            if not even_blocked:
                return None
            back = resume(job, "The reason no longer exists.", now=services.now)
            # An invocation that holds a blocked row only revokes its grants, as the next step
            # would.
            back = bump_fencing_token(back, settles_after=services.settings.in_flight_timeout)
            return replace(back, message_number=job.message_number + 1)

        kept = await self.change(services, place, with_wake_up)
        if kept and not kept.item.lease.is_held(services.now):
            await self.send_messages(services, kept.item)

    async def change(
        self, services: Services, place: tuple[str, str], change: Callable[[J | None], J | None]
    ) -> StoredItem[J] | None:
        """Change a row as `Table.change` does. If the row may need a wake-up, write that first."""

        async def schedule_wake_up_if_needed(before: J | None, after: J) -> None:
            if self._needs_wake_up(services, before, after):
                await self.schedule_wake_up(services, after)

        return await self.table(services.tables).change(
            *place, change, first=schedule_wake_up_if_needed
        )

    def _needs_wake_up(self, services: Services, before: J | None, after: J) -> bool:
        was_due = (
            before is not None
            and before.next_check_at is not None
            and before.next_check_at <= services.now + SOON
        )
        return after.next_check_at is not None and not was_due

    async def schedule_wake_up(self, services: Services, *jobs: J) -> None:
        """Write wake-ups for rows. Call it before the rows are written.

        See `shared/jobs/due_scan.py`.
        """
        if self.queue:
            now, get_row_name = services.now, self.table(services.tables).get_row_name
            at = now + services.settings.overdue_delay
            await services.tables.wake_ups.upsert(
                *(WakeUp(wake_at=at, row=get_row_name(job), written_at=now) for job in jobs)
            )

    async def send_messages(self, services: Services, *jobs: J) -> None:
        """Send the messages of those rows that are due soon.

        For a leased row, the message is due when the lease expires, because its holder may have
        crashed.
        """
        messages = [message for job in jobs if (message := self._build_message(services, job))]
        if messages:
            await services.messages.send(*messages)

    def _build_message(self, services: Services, job: J) -> QueueMessage | None:
        held = job.lease.is_held(services.now)
        due = job.leased_until if held else job.next_check_at
        if due is None or due > services.now + SOON or not self.queue:
            return None
        partition, key = self.table(services.tables).get_address(job)
        # Not the id of the message that found the row leased, or it would be dropped as a
        # duplicate.
        step = f"held/{job.fencing_token}" if held else f"{job.state}/{job.message_number}"
        return QueueMessage(
            queue=self.queue,
            message_id=f"{key}/{step}",
            body={self.partition: partition, "job": key},
            # Not now because it is nearly due, or it would return until it is.
            due=None if due <= services.now else due,
            properties=build_trace_properties(job, services.now),
        )

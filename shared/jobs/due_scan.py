"""Which rows the timer has to look at by now: an index, by time, of the rows that are due.

It may have too much, never too little. Whoever makes a row due that was not (a new row, an order, a
wake-up) writes a reminder before the row; a step needs none, for its row was due before. Only the
timer moves reminders to when a row is to be looked at next, and drops those of rows with nothing to
do; a new one is looked at for as long as whoever wrote it may be frozen before it writes the row.
What is watched (`JobKind.is_watched`) came to be so by a delivery, hence has a reminder, and keeps
it; whoever else takes a row that may have none, and lends a flow, writes one.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from shared.alerts import one_row, readable, tell_unreadable
from shared.domain.alert import RowName
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.wake_up import WakeUp
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.request_demand import QueuedJob, RequestQueueStatus
from shared.errors import NotFound, UnreadableRow
from shared.jobs.engine import SOON, JobKind
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.ports import Operation
from shared.reason import Reason
from shared.rows import StoredItem, sortable_time
from shared.services import Services

#: In one batch; each is two of a hundred operations.
_MOVES = 50
#: What is watched is looked at so often at least.
_SELDOM = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """What becomes of a reminder after a look; None: it is dropped."""

    old: WakeUp
    new: WakeUp | None


@dataclass(slots=True, kw_only=True)
class DueScanResult:
    """What the timer has found."""

    overdue: int = 0
    #: Rows that are watched, and are not due.
    flows: list[StoredItem[FlowJob]] = field(default_factory=list)
    expiring_plans: list[StoredItem[EnvironmentJob]] = field(default_factory=list)
    #: Ids of remediations, of which whoever started them may have died before the last job.
    unstarted_remediations: set[str] = field(default_factory=set)

    def add(self, kept: StoredItem[Any]) -> None:
        """Take a watched row."""
        (self.flows if isinstance(kept.item, FlowJob) else self.expiring_plans).append(kept)


async def send_due_messages(services: Services) -> DueScanResult:
    """Send the messages of rows that are due soon or overdue; return what else there is to do.

    A row that cannot be read or worked on is told of, and holds up no other.
    """
    table = services.tables.wake_ups
    found = table.scan("wake_up", before=sortable_time(services.now))
    due = [one async for row in found if (one := await _reminder(services, row))]
    looked = DueScanResult()
    moves = [await _look(services, reminder, looked) for reminder in due]
    for batch in batched(moves, _MOVES, strict=False):
        await _write(services, batch)
    return looked


async def _reminder(services: Services, found: StoredItem[WakeUp] | UnreadableRow) -> WakeUp | None:
    """Return a reminder; of one that cannot be read the key says all that is needed."""
    if not isinstance(found, UnreadableRow):
        return found.item
    await tell_unreadable(services, found)
    return _of_key(services, found)


def _of_key(services: Services, found: UnreadableRow) -> WakeUp | None:
    at, *row = found.row[2].split("~")
    with suppress(ValueError):
        table, partition, key = row
        name = (table, partition, key)
        return WakeUp(wake_at=datetime.fromisoformat(at), row=name, written_at=services.now)
    return None


async def count_overdue_rows(services: Services) -> int:
    """Return how many rows the timer should have looked at minutes ago."""
    late = sortable_time(services.now - SOON)
    found = services.tables.wake_ups.scan("wake_up", before=late)
    return len({one.row if isinstance(one, UnreadableRow) else one.item.row async for one in found})


async def reminded_rows(services: Services) -> set[RowName]:
    """Return the names of the rows that the timer looks at, now or later."""
    reminded = set[RowName]()
    async for one in services.tables.wake_ups.scan("wake_up"):
        reminder = _of_key(services, one) if isinstance(one, UnreadableRow) else one.item
        if reminder:
            reminded.add(reminder.row)
    return reminded


async def restore_wake_ups(services: Services) -> None:
    """Write the reminders that are missing: rows of an earlier version have none."""
    table = services.tables.wake_ups
    there = {one.item.row async for one in readable(services, table.scan("wake_up"))}
    for kind in _kinds(services).values():
        rows = kind.table(services.tables)
        found = [one.item async for one in readable(services, rows.scan())]
        open_rows = [job for job in found if job.due or kind.is_watched(job)]
        missing = [job for job in open_rows if rows.name_of(job) not in there]
        await kind.schedule_wake_up(services, *missing)


async def promote_waiters(services: Services) -> RequestQueueStatus:
    """Have those that wait for calls come sooner where there will be some; returns their line.

    So nobody in the line sleeps on when those before it give up, or need less than they said.
    """
    kinds = _kinds(services)

    async def come(turn: QueuedJob) -> bool:
        table, *place = turn.row
        if table not in kinds:
            return False  # of an earlier version: it comes by itself
        async with one_row(services, turn.row):
            return await _comes(services, kinds[table], (place[0], place[1]), turn)
        return True

    return await services.request_budget.promote_waiters(come)


async def _comes[J: DurableJob[Any]](
    services: Services, kind: JobKind[J], place: tuple[str, str], turn: QueuedJob
) -> bool:
    """Make a row due by the time of its turn; say whether it waits for that."""
    waits = False

    def called(job: J) -> J | None:
        nonlocal waits
        need = None if kind.is_ended(job) else kind.request_demand(job)
        waits = (
            job.due is not None and need is not None and need.queue_position == turn.queue_position
        )
        sleeps = waits and job.code == Reason.THROTTLED and not job.is_leased(services.now)
        is_late = job.due is not None and job.due > turn.requests_available_at
        return replace(job, due=turn.requests_available_at) if sleeps and is_late else None

    await kind.order(services, place, called)
    return waits


def _kinds(services: Services) -> dict[str, JobKind[Any]]:
    kinds: tuple[JobKind[Any], ...] = (FLOW, ENVIRONMENT)
    return {kind.table(services.tables).name: kind for kind in kinds}


async def _look(services: Services, reminder: WakeUp, looked: DueScanResult) -> _Move:
    async with one_row(services, reminder.row):
        table, *place = reminder.row
        kind = _kinds(services)[table]
        kept = await kind.table(services.tables).get(*place)
        if kept is None:
            if kind is ENVIRONMENT:
                looked.unstarted_remediations.add(place[0])
            return _later(services, reminder, due=None)
        return await _looked(services, kind, reminder, kept, looked)
    return _Move(old=reminder, new=replace(reminder, wake_at=services.now + SOON))


def _later(services: Services, reminder: WakeUp, *, due: datetime | None) -> _Move:
    """Look at a row again when it is due soon; before that if it may have been about to change."""
    settled = reminder.written_at + services.settings.in_flight_timeout
    if services.now < settled and (due is None or settled < due - SOON):
        return _Move(old=reminder, new=replace(reminder, wake_at=settled))
    return _Move(old=reminder, new=replace(reminder, wake_at=due - SOON) if due else None)


def _watched_after(job: DurableJob[Any], now: datetime) -> timedelta:
    """Return when to look again at a row that is not due: the rarer the longer it stands."""
    stands = now - job.history[-1].at if job.history else timedelta(0)
    return max(SOON, min(stands / 10, _SELDOM))


async def _looked[J: DurableJob[Any]](
    services: Services,
    kind: JobKind[J],
    reminder: WakeUp,
    kept: StoredItem[J],
    looked: DueScanResult,
) -> _Move:
    """Send the message of a row where it has none, or it was lost."""
    now, settings, job, due = services.now, services.settings, kept.item, kept.item.due

    def again(at: datetime) -> _Move:
        return _Move(old=reminder, new=replace(reminder, wake_at=at))

    if job.leased_until and job.is_leased(now):
        return again(job.leased_until + settings.overdue_delay)
    if due is None or due > now + SOON:
        later = _later(services, reminder, due=due)
        if not kind.is_watched(job):
            return later
        looked.add(kept)
        at = now + _watched_after(job, now)
        return again(min(at, later.new.wake_at) if later.new else at)
    if now < due + settings.overdue_delay:
        await kind.send(services, job)
        return again(due + settings.overdue_delay)

    if reminder.message_sent_at and now - reminder.message_sent_at < reminder.message_sent_at - due:
        return again(now + SOON)  # it may be the queue that is long: rarer and rarer

    def overdue(job: J) -> J | None:
        return job if job.due and not job.is_leased(services.now) else None

    # A new attempt: the old message's id may be used up.
    sent = await kind.order(services, (reminder.row[1], reminder.row[2]), overdue)
    looked.overdue += sent is not None
    # A delivery after this may leave a row that is due later than soon, and has no message then.
    new = replace(reminder, wake_at=now + SOON - settings.overdue_delay, message_sent_at=now)
    return _Move(old=reminder, new=new)


async def _write(services: Services, moves: Sequence[_Move]) -> None:
    """Write the new reminders and remove the old ones, all at once."""
    table = services.tables.wake_ups
    # Several of one row become one: the last to be written.
    last = sorted((one.new for one in moves if one.new), key=lambda one: one.written_at)
    new = {table.address(one): one for one in last}
    operations: list[Operation] = [one for batch in table.batches(*new.values()) for one in batch]
    operations += [table.removal(move.old) for move in moves]
    try:
        await table.store.write(*operations)
    except NotFound:  # another instance's timer was here too
        for operation in operations:
            with suppress(NotFound):
                await table.store.write(operation)

"""Find the rows that are due, through an index by time: the wake-ups.

A wake-up without a due row is harmless. A due row without a wake-up would never be found, so code
writes a wake-up before it makes a row due earlier (a new row, a command). A step needs no new one,
because its row was due and has one.

Only the timer moves wake-ups to later times, and removes those of rows with nothing to do. A new
wake-up stays for as long as its writer may be suspended before it writes the row.

A watched row (`JobKind.is_watched`) keeps its wake-up. Code outside a step that leases a row and
makes a grant writes a wake-up, because the row may have none.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from shared.alerts import alert_unreadable_row, catch_row_errors, read_readable
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
from shared.services import Services
from shared.state.rows import StoredItem, format_sortable_time

#: Wake-ups per batch; each needs two of a hundred operations.
_BATCH_SIZE = 50
#: Longest time between two checks of a watched row.
_MAX_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """A change of the wake-up `old` after a check. If `new` is None, `old` is removed."""

    old: WakeUp
    new: WakeUp | None


@dataclass(slots=True, kw_only=True)
class DueScanResult:
    """What the timer has found in one scan."""

    overdue: int = 0
    #: Watched rows that are not due.
    flows: list[StoredItem[FlowJob]] = field(default_factory=list)
    expiring_plans: list[StoredItem[EnvironmentJob]] = field(default_factory=list)
    #: Ids of remediations whose start may have crashed before the last job was created.
    unstarted_remediations: set[str] = field(default_factory=set)

    def add_due_row(self, kept: StoredItem[Any]) -> None:
        (self.flows if isinstance(kept.item, FlowJob) else self.expiring_plans).append(kept)


async def send_due_messages(services: Services) -> DueScanResult:
    """Send the messages of rows that are due soon or overdue.

    Return what else the timer has to do. A row that cannot be read or processed is reported and
    does not block others.
    """
    table = services.tables.wake_ups
    found = table.scan("wake_up", before=format_sortable_time(services.now))
    due = [one async for row in found if (one := await _recover_wake_up(services, row))]
    result = DueScanResult()
    moves = [await _check_wake_up(services, wake_up, result) for wake_up in due]
    for batch in batched(moves, _BATCH_SIZE, strict=False):
        await _write_moves(services, batch)
    return result


async def _recover_wake_up(
    services: Services, found: StoredItem[WakeUp] | UnreadableRow
) -> WakeUp | None:
    """Return the wake-up that a row stores.

    If the row is unreadable, sends an alert and returns the wake-up that its key describes, or None
    if the key is not valid.
    """
    if not isinstance(found, UnreadableRow):
        return found.item
    await alert_unreadable_row(services, found)
    return _parse_wake_up_from_key(services, found)


def _parse_wake_up_from_key(services: Services, found: UnreadableRow) -> WakeUp | None:
    at, *row = found.row[2].split("~")
    with suppress(ValueError):
        table, partition, key = row
        name = (table, partition, key)
        return WakeUp(wake_at=datetime.fromisoformat(at), row=name, written_at=services.now)
    return None


async def count_overdue_rows(services: Services) -> int:
    """Return the number of rows whose wake-up is more than five minutes late."""
    late = format_sortable_time(services.now - SOON)
    found = services.tables.wake_ups.scan("wake_up", before=late)
    return len({one.row if isinstance(one, UnreadableRow) else one.item.row async for one in found})


async def read_names_of_rows_with_wake_up(services: Services) -> set[RowName]:
    """Return the names of the rows that have a wake-up."""
    found = set[RowName]()
    async for one in services.tables.wake_ups.scan("wake_up"):
        wake_up = (
            _parse_wake_up_from_key(services, one) if isinstance(one, UnreadableRow) else one.item
        )
        if wake_up:
            found.add(wake_up.row)
    return found


async def restore_wake_ups(services: Services) -> None:
    """Write wake-ups for open rows without one, because rows of an earlier version have none."""
    table = services.tables.wake_ups
    there = {one.item.row async for one in read_readable(services, table.scan("wake_up"))}
    for kind in _group_kinds_by_table(services).values():
        rows = kind.table(services.tables)
        found = [one.item async for one in read_readable(services, rows.scan())]
        open_rows = [job for job in found if job.next_check_at or kind.is_watched(job)]
        missing = [job for job in open_rows if rows.get_row_name(job) not in there]
        await kind.schedule_wake_up(services, *missing)


async def wake_up_next_jobs(services: Services) -> RequestQueueStatus:
    """Make jobs in the request queue due earlier if requests will be available earlier. Return the
    status of the queue.

    Without this, they would wait even if jobs before them have stopped or need fewer requests.
    """
    kinds = _group_kinds_by_table(services)

    async def make_turn_due(turn: QueuedJob) -> bool:
        table, *place = turn.row
        if table not in kinds:
            return False  # of an earlier version: its own wake-up continues it
        async with catch_row_errors(services, turn.row):
            return await _make_waiting_row_due(services, kinds[table], (place[0], place[1]), turn)
        return True

    return await services.request_budget.wake_up_next_jobs(make_turn_due)


async def _make_waiting_row_due[J: DurableJob[Any]](
    services: Services, kind: JobKind[J], place: tuple[str, str], turn: QueuedJob
) -> bool:
    """Make a waiting row due when its requests are available. Return whether it waits for them."""
    waits = False

    def with_requests_due(job: J) -> J | None:
        nonlocal waits
        demand = None if kind.is_ended(job) else kind.request_demand(job)
        waits = (
            job.next_check_at is not None
            and demand is not None
            and demand.queue_position == turn.queue_position
        )
        sleeps = (
            waits and job.reason_code == Reason.THROTTLED and not job.lease.is_held(services.now)
        )
        is_late = job.next_check_at is not None and job.next_check_at > turn.requests_available_at
        return (
            replace(job, next_check_at=turn.requests_available_at) if sleeps and is_late else None
        )

    await kind.apply_command(services, place, with_requests_due)
    return waits


def _group_kinds_by_table(services: Services) -> dict[str, JobKind[Any]]:
    kinds: tuple[JobKind[Any], ...] = (FLOW, ENVIRONMENT)
    return {kind.table(services.tables).name: kind for kind in kinds}


async def _check_wake_up(services: Services, wake_up: WakeUp, result: DueScanResult) -> _Move:
    async with catch_row_errors(services, wake_up.row):
        table, *place = wake_up.row
        kind = _group_kinds_by_table(services)[table]
        kept = await kind.table(services.tables).get(*place)
        if kept is None:
            if kind is ENVIRONMENT:
                result.unstarted_remediations.add(place[0])
            return _postpone_wake_up(services, wake_up, due=None)
        return await _process_due_row(services, kind, wake_up, kept, result)
    return _Move(old=wake_up, new=replace(wake_up, wake_at=services.now + SOON))


def _postpone_wake_up(services: Services, wake_up: WakeUp, *, due: datetime | None) -> _Move:
    """Return the move of a wake-up to shortly before `due`. If `due` is None, it is removed.

    While its writer may still write the row, the wake-up moves at most to the end of that time.
    """
    settled = wake_up.written_at + services.settings.in_flight_timeout
    if services.now < settled and (due is None or settled < due - SOON):
        return _Move(old=wake_up, new=replace(wake_up, wake_at=settled))
    return _Move(old=wake_up, new=replace(wake_up, wake_at=due - SOON) if due else None)


def _choose_watch_delay(job: DurableJob[Any], now: datetime) -> timedelta:
    unchanged_for = now - job.history[-1].changed_at if job.history else timedelta(0)
    return max(SOON, min(unchanged_for / 10, _MAX_INTERVAL))


async def _process_due_row[J: DurableJob[Any]](
    services: Services,
    kind: JobKind[J],
    wake_up: WakeUp,
    kept: StoredItem[J],
    result: DueScanResult,
) -> _Move:
    """Send the row's message if the row may have none. Return the next move of its wake-up."""
    now, settings, job, due = services.now, services.settings, kept.item, kept.item.next_check_at

    def postpone_to(at: datetime) -> _Move:
        return _Move(old=wake_up, new=replace(wake_up, wake_at=at))

    if job.leased_until and job.lease.is_held(now):
        return postpone_to(job.leased_until + settings.overdue_delay)
    if due is None or due > now + SOON:
        later = _postpone_wake_up(services, wake_up, due=due)
        if not kind.is_watched(job):
            return later
        result.add_due_row(kept)
        at = now + _choose_watch_delay(job, now)
        return postpone_to(min(at, later.new.wake_at) if later.new else at)
    if now < due + settings.overdue_delay:
        await kind.send_messages(services, job)
        return postpone_to(due + settings.overdue_delay)

    if wake_up.message_sent_at and now - wake_up.message_sent_at < wake_up.message_sent_at - due:
        return postpone_to(now + SOON)  # the queue may be long: send less and less often

    def keep_if_overdue(job: J) -> J | None:
        return job if job.next_check_at and not job.lease.is_held(services.now) else None

    # As a new attempt: the id of the old message may be used up.
    sent = await kind.apply_command(services, (wake_up.row[1], wake_up.row[2]), keep_if_overdue)
    result.overdue += sent is not None
    # A later invocation may leave the row due after more than five minutes, and then it has no
    # message.
    new = replace(wake_up, wake_at=now + SOON - settings.overdue_delay, message_sent_at=now)
    return _Move(old=wake_up, new=new)


async def _write_moves(services: Services, moves: Sequence[_Move]) -> None:
    table = services.tables.wake_ups
    # Several wake-ups of one row become one: the last written.
    last = sorted((one.new for one in moves if one.new), key=lambda one: one.written_at)
    new = {table.get_address(one): one for one in last}
    operations: list[Operation] = [
        one for batch in table.split_into_batches(*new.values()) for one in batch
    ]
    operations += [table.build_removal(move.old) for move in moves]
    try:
        await table.store.write(*operations)
    except NotFound:  # another instance's timer has moved it too
        for operation in operations:
            with suppress(NotFound):
                await table.store.write(operation)

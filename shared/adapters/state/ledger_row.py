"""Store a ledger as one column of JSON, which is validated on each read.

An unreadable row is reset to the setting, and requests pause for some minutes, until everything
that the lost row may have allowed is over. The hourly and daily counts are lost.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, TypeAdapter

from shared.adapters.state.queue_totals import QueueTotals, Waiting
from shared.adapters.state.request_ledger import (
    UNDERWAY,
    BudgetLimit,
    RequestLedger,
    Reservation,
)
from shared.adapters.state.request_tally import RequestTally
from shared.ports import Scalar, StoreRow

_LEDGER = "ledger"
#: Windows after which no row allows a request; also the pause after a reset.
_PAUSE = 4
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

#: Larger than every budget: a larger number means that the row is damaged.
type _Count = Annotated[int, Field(ge=0, le=1_000_000)]
type _Calls = Annotated[int, Field(ge=1, le=1_000_000)]
type _Total = Annotated[int, Field(ge=0, le=1_000_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learnt:
    begun_with: _Calls
    calls: _Calls
    since: AwareDatetime
    ceiling: _Calls | None
    ceiling_until: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    spent: tuple[tuple[AwareDatetime, _Count], ...]
    holds: dict[str, tuple[_Count, _Count, AwareDatetime]]
    writes: dict[AwareDatetime, _Count]
    day: dict[AwareDatetime, _Count]
    paused_until: AwareDatetime
    learnt: _Learnt
    queue: dict[str, tuple[_Total, _Total, _Total]] | None = None


_adapter = TypeAdapter(_Stored)


def build_empty_ledger(limit: BudgetLimit, now: datetime) -> RequestLedger:
    """Return a ledger without requests."""
    return RequestLedger(
        now=now,
        limit=limit,
        calls=limit.calls,
        since=now,
        writes=_parse_write_tally({}, limit, now),
        day=_parse_daily_tally({}, limit, now),
    )


def build_reset_ledger(limit: BudgetLimit, now: datetime) -> RequestLedger:
    """Return the ledger that replaces an unreadable one."""
    until = now + _PAUSE * limit.window + UNDERWAY
    return replace(build_empty_ledger(limit, now), paused_until=until)


def parse_ledger(row: StoreRow, limit: BudgetLimit, now: datetime) -> RequestLedger:
    """Return the ledger of a row, without expired entries.

    Expired reservations count as used. Raises `ValueError` if the row is unreadable or contains an
    impossible time.
    """
    stored = _adapter.validate_json(str(row.columns.get(_LEDGER, "")))
    _require_writable_times(stored, limit, now)
    ledger = replace(
        build_empty_ledger(limit, now),
        spent=tuple(one for one in stored.spent if one[0] > now),
        holds={
            name: Reservation(held=held, owed=owed, until=until)
            for name, (held, owed, until) in stored.holds.items()
            if until > now
        },
        writes=_parse_write_tally(stored.writes, limit, now),
        day=_parse_daily_tally(stored.day, limit, now),
        paused_until=stored.paused_until,
        queue=_parse_totals(stored.queue),
    )
    learnt = stored.learnt
    if learnt.begun_with == limit.calls:  # a changed setting resets it
        ledger = replace(
            ledger,
            calls=min(learnt.calls, max(limit.most or 0, limit.calls)),
            since=learnt.since,
            ceiling=learnt.ceiling,
            ceiling_until=learnt.ceiling_until,
        )
    for held, _, until in stored.holds.values():
        if held and until <= now:
            ledger = ledger.with_requests(until, held, is_write=True)
    return ledger


def build_ledger_columns(ledger: RequestLedger) -> dict[str, Scalar]:
    """Return the columns with which a row stores the ledger."""
    stored = _Stored(
        spent=ledger.spent,
        holds={name: (one.held, one.owed, one.until) for name, one in ledger.holds.items()},
        writes=dict(ledger.writes.counts) if ledger.writes else {},
        day=dict(ledger.day.counts) if ledger.day else {},
        paused_until=ledger.paused_until,
        learnt=_Learnt(
            begun_with=ledger.limit.calls,
            calls=ledger.calls,
            since=ledger.since,
            ceiling=ledger.ceiling,
            ceiling_until=ledger.ceiling_until,
        ),
        queue={**ledger.queue.parts} if ledger.queue else None,
    )
    return {_LEDGER: _adapter.dump_json(stored).decode()}


def _require_writable_times(stored: _Stored, limit: BudgetLimit, now: datetime) -> None:
    """Raise `ValueError` for a time later than this version writes."""
    pause = _PAUSE * limit.window
    latest = [
        (now + pause, [until for until, _ in stored.spent]),
        (now + pause, [until for _, _, until in stored.holds.values()]),
        (now + pause + _HOUR + _MINUTE, stored.writes),
        (now + pause + _DAY + _HOUR, stored.day),
        (now + pause + _DAY, [stored.paused_until, stored.learnt.ceiling_until]),
        (now + pause, [stored.learnt.since]),
    ]
    for limit_of_time, times in latest:
        if any(time > limit_of_time + UNDERWAY for time in times):
            raise ValueError("a time is too far in the future")


def _parse_totals(queue: dict[str, tuple[int, int, int]] | None) -> QueueTotals | None:
    if queue is None:
        return None
    return QueueTotals(parts={part: Waiting(*counts) for part, counts in queue.items()})


def _parse_write_tally(
    counts: dict[datetime, int], limit: BudgetLimit, now: datetime
) -> RequestTally | None:
    if limit.writes_an_hour is None:
        return None
    return RequestTally.parse(counts, now, limit=limit.writes_an_hour, span=_HOUR, bucket=_MINUTE)


def _parse_daily_tally(
    counts: dict[datetime, int], limit: BudgetLimit, now: datetime
) -> RequestTally | None:
    if limit.calls_a_day is None:
        return None
    return RequestTally.parse(counts, now, limit=limit.calls_a_day, span=_DAY, bucket=_HOUR)

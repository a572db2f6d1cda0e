"""Test that an unreadable row of a request budget costs minutes and never exceeds the rate."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import QueuedJob, RequestDemand
from shared.errors import MustWait, ThrottledError
from shared.ports import Scalar, StoreRow
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LIMIT = BudgetLimit(name="flow-service", calls=5, most=5, writes_an_hour=300, calls_a_day=40_000)
ROW = ("requestbudgets", "flow-service", "leases")
PLACE = ("requestbudgets", "flow-service", "0-z")
NEED = RequestDemand(job_id="a", requests=3, priority="1", row=("flowjobs", "environment", "a"))

type Damage = Callable[[Scalar], Scalar | None]

#: What becomes of the value of one column; None: the column is missing.
GARBAGE: dict[str, Damage] = {
    "not JSON": lambda _: "{garbage",
    "missing": lambda _: None,
    "a number": lambda _: 7,
    "another type": lambda _: "[]",
    "empty": lambda _: "{}",
}
#: What becomes of a member of the ledger.
MEMBERS: dict[str, object] = {
    "spent": [["2099-01-01T00:00:00Z", 5]],
    "holds": {"lost": [5, 0, "2099-01-01T00:00:00Z"]},
    "writes": [],
    "day": {"yesterday": 1},
    "paused_until": "2099-01-01T00:00:00Z",
    "learnt": {"calls": 0},
    "queue": {"3-00": [1, 2]},
}


class Work:
    """Two instances that make as many calls as they are given."""

    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), MemoryStore()
        self.budgets = [StoredRequestBudget(self.store, self.clock, LIMIT) for _ in range(2)]
        self.made: list[datetime] = []

    async def go_on(self, length: timedelta) -> None:
        """Run one invocation after the other on both instances."""
        end = self.clock.now() + length
        while self.clock.now() < end:
            for budget in self.budgets:
                with suppress(ThrottledError, MustWait):
                    async with budget.reserve(NEED):
                        await budget.take()
                        self.made.append(self.clock.now())
            self.clock.advance(SECOND * 5)

    def damage(self, name: tuple[str, str, str], column: str, damage: Damage) -> None:
        """Damage one column of a row."""
        columns = dict(self.store.rows[name].columns)
        value = damage(columns.pop(column))
        after = columns if value is None else {**columns, column: value}
        self.store.rows[name] = replace(self.store.rows[name], columns=after, etag="damaged")

    def damage_member(self, member: str, value: object) -> None:
        """Damage one member of the ledger."""
        self.damage(ROW, "ledger", lambda text: json.dumps(json.loads(str(text)) | {member: value}))

    def find_most_in_any_minute(self) -> int:
        """Return the highest number of requests in any period of one minute."""
        return max(sum(one - MINUTE < other <= one for other in self.made) for one in self.made)

    async def assert_goes_on(self) -> None:
        """Check that the rate holds, work continues within minutes, and the reset is reported for a
        day.
        """
        before = len(self.made)
        await self.go_on(MINUTE * 15)
        assert self.find_most_in_any_minute() <= 5
        assert len(self.made) - before >= 5 * 9
        assert (await self.budgets[1].promote_waiters(report_waiting)).reset == (ROW,)
        self.clock.advance(DAY)
        assert (await self.budgets[1].promote_waiters(report_waiting)).reset == ()


async def report_waiting(_: QueuedJob) -> bool:
    """Report that the called job still waits."""
    return True


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_damaged_budget_row_is_reset_after_a_pause(garbage: str) -> None:
    """No error is raised; all requests of the lost row are over before the first new one."""
    work = Work()
    await work.go_on(MINUTE * 3)
    for name in list(work.store.rows[ROW].columns):
        work.damage(ROW, name, GARBAGE[garbage])

    await work.assert_goes_on()


@pytest.mark.parametrize("member", MEMBERS)
async def test_damaged_member_of_the_ledger_resets_the_row(member: str) -> None:
    """The value may also be valid but impossible, such as a pause of seventy years."""
    work = Work()
    await work.go_on(MINUTE * 3)
    work.damage_member(member, MEMBERS[member])

    await work.assert_goes_on()


async def test_block_in_use_while_the_row_is_damaged_does_not_exceed_the_rate() -> None:
    """The requests of the block are sent until three windows after its start."""
    work = Work()
    one, _ = work.budgets
    async with one.reserve(replace(NEED, requests=5)):
        work.damage(ROW, "ledger", GARBAGE["not JSON"])
        work.budgets.remove(one)
        await work.go_on(MINUTE * 2 + SECOND * 30)
        for _ in range(5):
            await one.take()
            work.made.append(work.clock.now())
        await work.go_on(MINUTE * 5)

    assert work.find_most_in_any_minute() <= 5
    assert len(work.made) > 5


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_damaged_place_in_the_line_is_removed_by_the_timer(garbage: str) -> None:
    """Until then the place delays no job, and its removal is reported."""
    work = Work()
    columns = {"waiter": "{}"}
    table, partition, key = PLACE
    row = StoreRow(table=table, partition=partition, key=key, columns=columns, etag="1")
    work.store.rows[PLACE] = row
    work.damage(PLACE, "waiter", GARBAGE[garbage])

    await work.go_on(MINUTE * 3)
    assert len(work.made) >= 5
    assert (await work.budgets[0].read_queue_status()).waiting <= 1
    line = await work.budgets[0].promote_waiters(report_waiting)

    assert line.removed == (PLACE,)
    assert PLACE not in work.store.rows


async def test_pause_requested_by_a_service_ends_within_a_day() -> None:
    """A service that names a far future date does not stop the app permanently."""
    work = Work()
    await work.budgets[0].slow_down(DAY * 1000)
    work.clock.advance(DAY + SECOND)
    await work.go_on(MINUTE * 3)

    assert work.made
    assert (await work.budgets[0].promote_waiters(report_waiting)).reset == ()

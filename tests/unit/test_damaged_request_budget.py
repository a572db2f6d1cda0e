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
from tests.fakes.clock import ManualClock, count_most_within
from tests.fakes.memory_store import MemoryStore

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LIMIT = BudgetLimit(name="flow-service", calls=5, most=5, writes_an_hour=300, calls_a_day=40_000)
ROW = ("requestbudgets", "flow-service", "leases")
PLACE = ("requestbudgets", "flow-service", "0-z")
NEED = RequestDemand(job_id="a", requests=3, priority="1", row=("flowjobs", "environment", "a"))

type Damage = Callable[[Scalar], Scalar | None]

#: How the value of a column is damaged. None removes the column.
GARBAGE: dict[str, Damage] = {
    "not JSON": lambda _: "{garbage",
    "missing": lambda _: None,
    "a number": lambda _: 7,
    "another type": lambda _: "[]",
    "empty": lambda _: "{}",
}
#: Impossible values of members of the ledger.
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
    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), MemoryStore()
        self.budgets = [StoredRequestBudget(self.store, self.clock, LIMIT) for _ in range(2)]
        self.made: list[datetime] = []

    async def send_requests_for(self, length: timedelta) -> None:
        end = self.clock.now() + length
        while self.clock.now() < end:
            for budget in self.budgets:
                with suppress(ThrottledError, MustWait):
                    async with budget.reserve(NEED):
                        await budget.take()
                        self.made.append(self.clock.now())
            self.clock.advance(SECOND * 5)

    def damage(self, name: tuple[str, str, str], column: str, damage: Damage) -> None:
        """Damage this column of a row with the function `damage`."""
        columns = dict(self.store.rows[name].columns)
        value = damage(columns.pop(column))
        after = columns if value is None else {**columns, column: value}
        self.store.rows[name] = replace(self.store.rows[name], columns=after, etag="damaged")

    def damage_member(self, member: str, value: object) -> None:
        self.damage(ROW, "ledger", lambda text: json.dumps(json.loads(str(text)) | {member: value}))

    async def assert_continues_within_budget(self) -> None:
        before = len(self.made)
        await self.send_requests_for(MINUTE * 15)
        assert count_most_within(self.made, MINUTE) <= 5
        assert len(self.made) - before >= 5 * 9
        assert (await self.budgets[1].wake_up_next_jobs(report_waiting)).reset == (ROW,)
        self.clock.advance(DAY)
        assert (await self.budgets[1].wake_up_next_jobs(report_waiting)).reset == ()


async def report_waiting(_: QueuedJob) -> bool:
    """Return that the promoted job still waits."""
    return True


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_damaged_budget_row_is_reset_after_a_pause(garbage: str) -> None:
    """The app does not know how many requests the lost row counted."""
    work = Work()
    await work.send_requests_for(MINUTE * 3)
    for name in list(work.store.rows[ROW].columns):
        work.damage(ROW, name, GARBAGE[garbage])

    await work.assert_continues_within_budget()


@pytest.mark.parametrize("member", MEMBERS)
async def test_damaged_member_of_the_ledger_resets_the_row(member: str) -> None:
    """A member may have a valid but impossible value, such as a pause of seventy years."""
    work = Work()
    await work.send_requests_for(MINUTE * 3)
    work.damage_member(member, MEMBERS[member])

    await work.assert_continues_within_budget()


async def test_reservation_in_use_while_the_row_is_damaged_stays_within_the_budget() -> None:
    """An instance sends the requests of its reservation although the row is lost."""
    work = Work()
    one, _ = work.budgets
    async with one.reserve(replace(NEED, requests=5)):
        work.damage(ROW, "ledger", GARBAGE["not JSON"])
        work.budgets.remove(one)
        await work.send_requests_for(MINUTE * 2 + SECOND * 30)
        for _ in range(5):
            await one.take()
            work.made.append(work.clock.now())
        await work.send_requests_for(MINUTE * 5)

    assert count_most_within(work.made, MINUTE) <= 5
    assert len(work.made) > 5


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_damaged_place_in_the_line_is_removed_by_the_timer(garbage: str) -> None:
    work = Work()
    columns = {"waiter": "{}"}
    table, partition, key = PLACE
    row = StoreRow(table=table, partition=partition, key=key, columns=columns, etag="1")
    work.store.rows[PLACE] = row
    work.damage(PLACE, "waiter", GARBAGE[garbage])

    await work.send_requests_for(MINUTE * 3)
    assert len(work.made) >= 5
    assert (await work.budgets[0].read_queue_status()).waiting <= 1
    line = await work.budgets[0].wake_up_next_jobs(report_waiting)

    assert line.removed == (PLACE,)
    assert PLACE not in work.store.rows


async def test_pause_requested_by_a_service_ends_within_a_day() -> None:
    work = Work()
    await work.budgets[0].slow_down(DAY * 1000)
    work.clock.advance(DAY + SECOND)
    await work.send_requests_for(MINUTE * 3)

    assert work.made
    assert (await work.budgets[0].wake_up_next_jobs(report_waiting)).reset == ()

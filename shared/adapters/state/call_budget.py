"""A service's budget of calls, shared by all instances of the app through rows of the store.

In *no* span of one window's length are there more calls than the budget, wherever the span begins.

Where calls are plenty an instance leases them in slices, so that not every call costs a write. A
slice is to be used within a twentieth of the window, and counts for that much longer; within a
quarter of it as long as most calls are free.

Where they are scarce a delivery takes a block before it begins, and tells at its end when it used
which call. Whoever is refused one stands in the line: a row that says who goes before whom, how
many calls it needs and when it was told to come. Nobody is let in while somebody who goes first is
about to come, or while a block that was begun has not all of its calls. One who does not come in
time has died, and holds nobody up.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched

from shared.adapters.state.call_ledger import BudgetLimit, Hold, Ledger, Waiter, columns_of
from shared.domain.calls import CallLine, Need, Turn
from shared.errors import AlreadyExists, Conflict, NotFound, ProductError, Throttled, Waiting
from shared.ports import CallBlocks, Clock, Insert, Operation, Replace, Row, Store, Upsert
from shared.reason import Reason

_TABLE = "CallBudgets"
_KEY = "leases"  # comes after every place in the line, which begins with a digit
#: Share of the window in which a slice is to be used: while calls are few, and while most are free.
_USE_SHARE, _LONG_USE_SHARE = 1 / 20, 1 / 4
#: Slices a whole budget is cut into at most.
_SLICES = 40
_TRIES = 10  # races for the row that are lost in a row before a call is refused
#: A call may arrive this much later after it was taken than another one.
_UNDERWAY = timedelta(seconds=1)
#: A block counts as lost if nothing is heard of it for so many windows.
_LAPSES = 3
#: Share of the window for which a call is kept for somebody who goes first and is to come, and how
#: many windows later it counts as dead.
_KEPT_FOR, _GRACE = 1 / 10, 1
#: Whose turn comes within so many windows comes when there may be a call.
_NEAR = 2
#: For so long, in windows, what a delivery did not use is kept for the next step of its job, as the
#: hold of this name.
_KEPT_FOR_NEXT, _NEXT = 1 / 20, "~"
#: How long one delivery waits for calls, all together.
_PATIENCE = timedelta(minutes=3)

#: Places that are written or removed at once: a batch holds a hundred operations.
_AT_ONCE = 50

_NEVER = datetime.min.replace(tzinfo=UTC)

_log = logging.getLogger(__name__)


#: The ledger as it is to be, the answer, and what is written beside it.
type _Decision[T] = tuple[Ledger, T, Sequence[Operation]]


@dataclass(slots=True)
class _Block:
    """The calls that one delivery has in hand."""

    name: str
    whose: str
    left: int
    #: Calls that are to come to it as they come free.
    owed: int
    until: datetime
    is_urgent: bool
    #: When calls of it were made, as far as the row does not know, and which were writes.
    used: list[tuple[datetime, bool]] = field(default_factory=list)


@dataclass(slots=True)
class _Delivery:
    """What is done inside of `CallBudget.block`: it waits for calls of any budget."""

    #: By name of the budget.
    blocks: dict[str, _Block] = field(default_factory=dict)
    waited: timedelta = timedelta(0)


def _empty(need: Need | None) -> _Block:
    """Return the block of a delivery that waits for nobody, and has no call yet."""
    is_urgent = need is not None and need.is_urgent
    return _Block(
        name=uuid.uuid4().hex, whose="", left=0, owed=0, until=_NEVER, is_urgent=is_urgent
    )


def _alive(ledger: Ledger) -> datetime:
    """Return when somebody has to have been told to come at least, or counts as dead."""
    return ledger.now - ledger.window * _GRACE


_delivery: ContextVar[_Delivery | None] = ContextVar("delivery", default=None)


class CallBudget(CallBlocks):
    """Calls to one service, for this instance."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Lease from rows of `store`."""
        if limit.calls < 1:
            raise ValueError("a budget holds at least one call")
        self._store = store
        self._clock = clock
        self._limit = limit
        self._slice = -(-limit.calls // _SLICES)
        self._left = 0
        self._use_until = _NEVER
        #: The row as this instance has read or written it last.
        self._known: Row | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def block(self, need: Need | None) -> AsyncGenerator[None]:
        """Work inside with a block of calls; see the port."""
        delivery, block = _Delivery(), None
        if self._slice == 1 or (need is not None and need.calls > self._slice):
            block = await self._let_in(need) if need and need.calls else _empty(need)
            delivery.blocks[self._limit.name] = block
        before = _delivery.set(delivery)
        try:
            yield
        finally:
            _delivery.reset(before)
            if block and block.until > _NEVER:
                await self._give_back(block)

    async def ready(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Come back when there are calls at hand; outside of a delivery `take` says if so."""
        delivery = _delivery.get()
        if delivery is None:
            return
        while True:
            try:
                async with self._lock:
                    await self._have(calls, is_urgent=is_urgent)
                break
            except Throttled as err:
                wait = err.retry_after or _UNDERWAY
                delivery.waited += wait
                if delivery.waited > _PATIENCE:
                    raise
            await self._clock.sleep(wait)

    async def take(self, *, is_write: bool = False) -> None:
        """Take one call; raises `Throttled` with the time until there is one again."""
        async with self._lock:
            await self._have(1, is_write=is_write)
            block = self._block()
            if block:
                block.left -= 1
                block.used.append((self._clock.now(), is_write))
            else:
                self._left -= 1

    async def line(self) -> CallLine:
        """Return who waits at this moment, and for how long."""
        row, line = await self._read(with_line=True)
        return self._shown(Ledger.from_row(row, self._limit, self._clock.now()), line)

    async def call_up(self, come: Callable[[Turn], Awaitable[bool]]) -> CallLine:
        """Have those come sooner whose turn comes within the next minutes; see the port."""
        row, line = await self._read(with_line=True)
        ledger = Ledger.from_row(row, self._limit, self._clock.now())
        ahead, operations = ledger.owed, list[Operation]()
        for one in line:
            comes = ledger.free_at(ahead + 1, is_urgent=False)
            if comes > ledger.now + ledger.window * _NEAR:
                break
            if one.comes < _alive(ledger):
                operations.append(one.removal)
                continue
            if one.comes > comes + _UNDERWAY:
                if not await come(Turn(row=one.row, place=one.key, comes=comes)):
                    operations.append(one.removal)
                    continue
                operations.append(one.called(comes))
            ahead += one.calls
        for batch in batched(operations, _AT_ONCE, strict=False):
            with suppress(Conflict, NotFound):  # who was there by itself is not called up
                await self._store.write(*batch)
        return self._shown(ledger, line)

    def _shown(self, ledger: Ledger, line: Sequence[Waiter]) -> CallLine:
        ahead = ledger.owed + sum(one.calls for one in line)
        return CallLine(
            row=(_TABLE, self._limit.name, _KEY),
            waiting=len(line),
            calls_per_minute=ledger.calls,
            next_at=ledger.free_at(1, is_urgent=False) if line else None,
            idle_at=ledger.free_at(ahead + 1, is_urgent=False) if self._slice == 1 else None,
        )

    async def refused(self, wait: timedelta) -> None:
        """Give out nothing for a while, in every instance, and less after it."""
        async with self._lock:
            self._left = 0
            block = self._block()
            if block:
                block.left, block.owed = 0, block.owed + block.left

            await self._decide(lambda ledger, _: (ledger.refused(wait), None, ()))

    def _block(self) -> _Block | None:
        delivery = _delivery.get()
        return delivery.blocks.get(self._limit.name) if delivery else None

    async def _have(self, calls: int, *, is_urgent: bool = False, is_write: bool = False) -> None:
        """Have calls in hand, of the delivery's block or one of the slice; raises `Throttled`."""
        block, now = self._block(), self._clock.now()
        if block and now >= block.until:  # they lapsed
            block.left, block.owed = 0, block.owed + block.left
        while block and block.left < calls:
            await self._fill(block, calls, is_urgent=is_urgent or block.is_urgent)
        if not block and (self._left == 0 or now >= self._use_until):
            await self._lease_slice(is_write=is_write and self._slice == 1)

    async def _lease_slice(self, *, is_write: bool) -> None:
        """Lease a slice. Where it is one call, it is known what that is."""

        def lease(ledger: Ledger, _: Sequence[Waiter]) -> _Decision[tuple[int, datetime]]:
            count = min(self._slice, self._free(ledger, 0, is_urgent=True))
            is_quiet = self._slice > 1 and ledger.room - count > ledger.calls / 2
            share = _LONG_USE_SHARE if is_quiet else _USE_SHARE
            until = ledger.now + ledger.window * share
            ledger = ledger.risen() if count < self._slice else ledger
            ledger = ledger.wrote(ledger.now) if is_write else ledger
            return ledger.spend(until + ledger.window, count), (count, until), ()

        self._left, self._use_until = await self._decide(lease)

    async def _fill(self, block: _Block, calls: int, *, is_urgent: bool) -> None:
        """Put what there is into a block that was begun, and tell what was used of it.

        What other blocks are owed is not kept from it: all of them were let in.
        """

        def fill(ledger: Ledger, _: Sequence[Waiter]) -> _Decision[Hold]:
            ledger = self._told(ledger, block).with_hold(block.name, None)
            wanted = max(block.left + block.owed, calls)
            held = min(block.left + self._free(ledger, block.left, is_urgent=is_urgent), wanted)
            hold = self._held(ledger, held, wanted - held)
            return ledger.risen().with_hold(block.name, hold), hold, ()

        hold = await self._decide(fill)
        block.left, block.owed, block.until = hold.held, hold.owed, hold.until
        block.used.clear()

    async def _let_in(self, need: Need) -> _Block:
        """Return the block of a delivery that may begin; raises `Waiting`."""
        name = uuid.uuid4().hex
        key = need.place
        place = Row(table=_TABLE, partition=self._limit.name, key=key, columns={})

        def ask(ledger: Ledger, line: Sequence[Waiter]) -> _Decision[Hold | datetime]:
            alive = _alive(ledger)
            calls = min(need.calls, ledger.calls)
            gone = [one.removal for one in line if one.comes < alive and one.key != key]
            first = [one for one in line if one.comes >= alive and one.key < key]
            ledger = ledger.with_hold(f"{need.whose}{_NEXT}", None)
            soon = ledger.now + ledger.window * _KEPT_FOR
            expected = sum(one.calls for one in first if one.comes <= soon)
            kept = ledger.owed + expected
            count = min(ledger.free(kept=kept, is_urgent=need.is_urgent), calls)
            opens = ledger.free_at(kept + 1, is_urgent=need.is_urgent)
            if not count and (expected or opens > soon):
                comes = self._comes(ledger, first, is_urgent=need.is_urgent)
                told = Upsert(replace(place, columns=columns_of(need, comes, calls)))
                return ledger, comes, [told, *gone[:_AT_ONCE]]
            hold = self._held(ledger, count, calls - count)
            ledger = ledger.risen() if hold.owed else ledger
            left = [one.removal for one in line if one.key == key]
            return ledger.with_hold(name, hold), hold, [*left, *gone[:_AT_ONCE]]

        async with self._lock:
            answer = await self._decide(ask, with_line=True)
        if isinstance(answer, datetime):
            text = f"It waits for its turn: {self._limit.name} takes few calls."
            raise Waiting(text, until=answer, code=Reason.THROTTLED)
        return _Block(
            name=name,
            whose=need.whose,
            left=answer.held,
            owed=answer.owed,
            until=answer.until,
            is_urgent=need.is_urgent,
        )

    def _comes(self, ledger: Ledger, first: Sequence[Waiter], *, is_urgent: bool) -> datetime:
        """Return when whoever is refused is to ask again: soon, or when it is probably its turn.

        Who is told a late time is called up: those that go first may need less, or give up.
        """
        ahead = ledger.owed + sum(one.calls for one in first)
        at_once = ledger.free_at(ahead + 1, is_urgent=is_urgent)
        if at_once <= ledger.now + ledger.window * _NEAR:
            return max(at_once, ledger.now + _UNDERWAY)
        return ledger.free_at(ahead + sum(one.later for one in first) + 1, is_urgent=is_urgent)

    async def _give_back(self, block: _Block) -> None:
        """Tell when the calls of a block were made; the others are kept for the job's next step."""

        def give_back(ledger: Ledger, _: Sequence[Waiter]) -> _Decision[None]:
            until = ledger.now + ledger.window * _KEPT_FOR_NEXT
            kept = (
                Hold(held=0, owed=block.left, until=until) if block.left and block.whose else None
            )
            ledger = self._told(ledger, block).with_hold(block.name, None)
            return ledger.with_hold(f"{block.whose}{_NEXT}", kept), None, ()

        try:
            async with self._lock:
                await self._decide(give_back)
        except ProductError as err:  # it lapses
            _log.warning("calls were not given back: %s", err)

    def _told(self, ledger: Ledger, block: _Block) -> Ledger:
        """Return the ledger with the calls that were made of a block since it was told of it."""
        for moment, is_write in block.used:
            ledger = ledger.spend(moment + _UNDERWAY + ledger.window)
            ledger = ledger.wrote(moment) if is_write else ledger
        return ledger

    def _held(self, ledger: Ledger, held: int, owed: int) -> Hold:
        return Hold(held=held, owed=owed, until=ledger.now + _LAPSES * ledger.window)

    def _free(self, ledger: Ledger, kept: int, *, is_urgent: bool) -> int:
        """Return how many calls can be given out now; raises `Throttled` if there is none."""
        if free := ledger.free(kept=kept, is_urgent=is_urgent):
            return free
        raise self._refusal(ledger.free_at(kept + 1, is_urgent=is_urgent) - ledger.now)

    def _refusal(self, wait: timedelta) -> Throttled:
        return Throttled(
            f"the budget of calls to {self._limit.name} is used up",
            retry_after=wait,
        )

    async def _decide[T](
        self,
        decide: Callable[[Ledger, Sequence[Waiter]], _Decision[T]],
        *,
        with_line: bool = False,
    ) -> T:
        """Write what is decided on the row, and on the line if it is asked for; return the answer.

        Decided anew as long as another instance was faster, and where no is said by what was known
        before: it may be old.
        """
        for _ in range(_TRIES):
            known, self._known = None if with_line else self._known, None
            row, line = (known, []) if known else await self._read(with_line=with_line)
            before = Ledger.from_row(row, self._limit, self._clock.now())
            try:
                ledger, answer, operations = decide(before, line)
            except Throttled:
                if known:
                    continue
                self._known = row
                raise
            if ledger != before:
                columns = ledger.columns()
                new = Row(table=_TABLE, partition=self._limit.name, key=_KEY, columns=columns)
                write = Replace(replace(row, columns=columns)) if row else Insert(new)
                operations = [write, *operations]
            try:
                written = await self._store.write(*operations) if operations else []
            except (AlreadyExists, Conflict, NotFound):
                continue
            self._known = next((one for one in written if one.key == _KEY), row)
            return answer
        raise self._refusal(_UNDERWAY)

    async def _read(self, *, with_line: bool) -> tuple[Row | None, list[Waiter]]:
        """Return the row, and who stands in the line."""
        if not with_line:
            return await self._store.get(_TABLE, self._limit.name, _KEY), []
        rows = [row async for row in self._store.query(_TABLE, self._limit.name)]
        row = next((one for one in rows if one.key == _KEY), None)
        return row, [Waiter(one) for one in rows if one.key != _KEY]

"""Pause the app's process before or after any external call, like an instance without processor
time.

Other processes treat it as dead: its message is delivered again, to another process. Later the
paused process continues with everything that it has in memory.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.ports import Clock
from tests.fakes.crash import Killed, Moment, Plan


@dataclass(slots=True, kw_only=True)
class Pause(Plan):
    """Pauses the process at one external call, and later lets it continue."""

    #: How long it sleeps, by the clock of the world.
    sleeps: timedelta
    clock: Clock
    wakes_at: datetime | None = None
    _asleep: asyncio.Event = field(default_factory=asyncio.Event)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _sleeper: asyncio.Future[Any] | None = None

    @property
    def is_asleep(self) -> bool:
        return self._asleep.is_set() and not self._woken.is_set()

    @property
    def is_gone(self) -> bool:
        """Return whether the process has been paused, so that another one has to continue its
        work.
        """
        return self.has_struck

    async def rest(self) -> None:
        if self.is_asleep:
            await self._woken.wait()

    async def run[T](self, work: Awaitable[T]) -> T:
        """Run a handler in this process.

        Raises `Killed` when the process is paused, as if it were dead.
        """
        task = asyncio.ensure_future(work)
        if not self.is_gone:
            asleep = asyncio.ensure_future(self._asleep.wait())
            await asyncio.wait({task, asleep}, return_when=asyncio.FIRST_COMPLETED)
            asleep.cancel()
            if not task.done():
                self._sleeper = task
                raise Killed
        return await task

    async def wake(self) -> BaseException | None:
        """Let the paused process run to its end. Return the exception that it raised, or None."""
        self._woken.set()
        assert self._sleeper is not None
        await asyncio.wait({self._sleeper})
        return self._sleeper.exception()

    def _strike(self, number: int, moment: Moment) -> None:
        if number == self.at and moment is self.moment and not self.has_struck:
            self.has_struck = True
            self.wakes_at = self.clock.now() + self.sleeps
            self._asleep.set()


@dataclass(slots=True, kw_only=True)
class PauseBefore(Pause):
    """Pauses the process before a call with this name; `number` counts such calls from 1."""

    call: str
    number: int

    def enter(self, name: str) -> int:
        self.number -= name == self.call
        if self.number == 0 and self.at is None:
            self.at = self.calls + 1
        return Pause.enter(self, name)

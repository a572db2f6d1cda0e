"""Kill the app's process, or fail a call, before or after any external call.

A test wraps every port with the same plan and runs a handler until the plan interrupts it. Then it
continues with new handlers on the same tenant: stored data stays, and data in memory is lost.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, cast


class Killed(BaseException):
    """Raised where the plan kills the process. No handler of the app may catch this error."""


class Moment(StrEnum):
    """When the plan interrupts an external call."""

    BEFORE = "before"  #: the call never reached the other side
    AFTER = "after"  #: the other side did it, the answer never came


@dataclass(slots=True, kw_only=True)
class Plan:
    """Counts the external calls of all ports and interrupts one of them."""

    #: 1: the first call; None: never, only count.
    at: int | None = None
    moment: Moment = Moment.BEFORE
    #: What is raised: `Killed`, or an error that the product expects, such as `ServiceUnavailable`.
    failure: Callable[[], BaseException] = Killed
    calls: int = 0
    has_struck: bool = False
    #: Killed: nothing this process still tries reaches the other side.
    is_dead: bool = False
    #: The names of the calls so far, for the message of a failing test.
    trace: list[str] | None = None

    def enter(self, name: str) -> int:
        """Count a call and return its number. Raises `Killed` or the planned failure if the plan
        says so.
        """
        if self.is_dead:
            raise Killed
        self.calls += 1
        if self.trace is not None:
            self.trace.append(name)
        self._strike(self.calls, Moment.BEFORE)
        return self.calls

    def leave(self, number: int) -> None:
        """Record that a call has taken effect. Raises `Killed` or the planned failure if the plan
        says so.
        """
        if self.is_dead:
            raise Killed
        self._strike(number, Moment.AFTER)

    @property
    def is_gone(self) -> bool:
        """Return whether this process is dead, so that another one has to continue."""
        return self.is_dead

    async def rest(self) -> None:
        """Wait while the process is paused. This plan never pauses it."""

    async def run[T](self, work: Awaitable[T]) -> T:
        return await work

    def _strike(self, number: int, moment: Moment) -> None:
        if number == self.at and moment is self.moment and not self.has_struck:
            self.has_struck = True
            failure = self.failure()
            self.is_dead = isinstance(failure, Killed)
            raise failure


def wrap_with_plan[T](port: T, plan: Plan) -> T:
    """Return `port` so that the plan may interrupt each of its external calls."""
    return cast("T", _Interrupted(port, plan))


def was_killed(error: BaseException) -> bool:
    """Return whether an exception is `Killed`, or a group that contains it."""
    if isinstance(error, BaseExceptionGroup):
        return any(was_killed(one) for one in error.exceptions)
    return isinstance(error, Killed)


def is_async_method(method: Callable[..., Any]) -> bool:
    """Return whether a port's method is a coroutine function, and not an asynchronous generator."""
    return _is_async(getattr(method, "__func__", method))


@cache
def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function)


async def _let_other_tasks_run() -> None:
    # Like a real call: only so two handlers meet in the middle of a step. Most calls are made while
    # no other task is ready, and a pass of the event loop takes as long as the call.
    if getattr(asyncio.get_running_loop(), "_ready", True):
        await asyncio.sleep(0)


class _Interrupted:
    """A port whose calls the plan may interrupt.

    Methods that are not async, such as `Clock.now`, are not external calls.
    """

    def __init__(self, port: object, plan: Plan) -> None:
        self._port = port
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute
        label = f"{type(self._port).__name__}.{name}"

        def call_interrupted(*arguments: Any, **named: Any) -> Any:
            if is_async_method(attribute):
                return self._call(label, lambda: attribute(*arguments, **named))
            result = attribute(*arguments, **named)
            return self._iterate(label, result) if inspect.isasyncgen(result) else result

        return call_interrupted

    async def _call(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        await _let_other_tasks_run()
        number = self._plan.enter(name)
        await self._plan.rest()
        result = await work()
        self._plan.leave(number)
        await self._plan.rest()
        return result

    async def _iterate(self, name: str, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        await _let_other_tasks_run()
        number = self._plan.enter(name)
        await self._plan.rest()
        async for item in items:
            yield item
        self._plan.leave(number)
        await self._plan.rest()

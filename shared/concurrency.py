"""Run several requests concurrently, so that adapters can batch them (`Dataverse.read`)."""

import asyncio
from asyncio import TaskGroup
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

#: Maximum concurrent reads of a list.
MOST_CONCURRENT = 16


@asynccontextmanager
async def run_concurrently() -> AsyncGenerator[TaskGroup]:
    """Provide a task group. If a task fails, the others are cancelled, and its error is raised."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def read_each[T, R](
    things: Iterable[T], read: Callable[[T], Coroutine[Any, Any, R]]
) -> list[R]:
    """Return the result of `read` for each item, in order.

    Runs some reads at the same time. If one fails, the others are cancelled, and its error is
    raised.
    """
    gate = asyncio.Semaphore(MOST_CONCURRENT)

    async def read_one(thing: T) -> R:
        async with gate:
            return await read(thing)

    async with run_concurrently() as group:
        tasks = [group.create_task(read_one(thing)) for thing in things]
    return [task.result() for task in tasks]


async def do_each[T](things: Sequence[T], do: Callable[[T], Coroutine[Any, Any, object]]) -> None:
    """Run `do` for each item, some at the same time. Raises the first error; some items may be
    complete by then.
    """
    if len(things) == 1:
        await do(things[0])
    else:
        await read_each(things, do)

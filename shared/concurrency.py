"""Several questions at once: whoever answers may take them together (`Dataverse.read`)."""

import asyncio
from asyncio import TaskGroup
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

#: Reads of one list that are under way at a time.
SIDE_BY_SIDE = 16


@asynccontextmanager
async def run_concurrently() -> AsyncGenerator[TaskGroup]:
    """Give a group of tasks; the first that fails ends the others, and is what is raised."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def read_each[T, R](
    things: Iterable[T], read: Callable[[T], Coroutine[Any, Any, R]]
) -> list[R]:
    """Return what `read` returns for each thing, in their order; some are read side by side.

    The first that fails ends the others, and is what is raised.
    """
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def read_one(thing: T) -> R:
        async with gate:
            return await read(thing)

    async with run_concurrently() as group:
        tasks = [group.create_task(read_one(thing)) for thing in things]
    return [task.result() for task in tasks]


async def do_each[T](things: Sequence[T], do: Callable[[T], Coroutine[Any, Any, object]]) -> None:
    """Do something to each thing, to some of them side by side; the first that fails is raised.

    What others have begun may be done by then.
    """
    if len(things) == 1:
        await do(things[0])
    else:
        await read_each(things, do)

"""Several questions at once: whoever answers may take them together (`Dataverse.read`)."""

from asyncio import TaskGroup
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def at_once() -> AsyncGenerator[TaskGroup]:
    """Give a group of tasks; the first that fails ends the others, and is what is raised."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors

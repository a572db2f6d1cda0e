"""Ask a question whose answer may stay out: the work goes on without it, and says so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, ThrottledError

#: Seconds that one question may take. The host ends an HTTP request after 230 seconds, and an
#: assessment asks four questions one after another beside a patient one.
PATIENCE = 40.0
#: The same in a delivery, which the host ends after ten minutes.
PATIENCE_OF_A_DELIVERY = 100.0
#: Seconds for a question that waits for the next minute's budget of calls.
LONG_PATIENCE = 65.0


_patience = ContextVar("patience", default=PATIENCE)


@contextmanager
def patience_of_a_delivery() -> Iterator[None]:
    """Let every question within take longer: nobody waits at the other end of a request."""
    before = _patience.set(PATIENCE_OF_A_DELIVERY)
    try:
        yield
    finally:
        _patience.reset(before)


async def read_or_none[T](question: Awaitable[T], *, seconds: float | None = None) -> T | NoAnswer:
    """Return the answer, or why there is none. A defect of ours is raised all the same."""
    seconds = _patience.get() if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds):
            return await question
    except CmkflowError as err:
        return no_answer(err)
    except TimeoutError:
        return NoAnswer(message=f"no answer within {seconds:.0f} seconds", is_throttled=True)


def no_answer(err: CmkflowError) -> NoAnswer:
    """Return an error as what it is to somebody who goes on without the answer."""
    return NoAnswer(message=redact(str(err)), is_throttled=isinstance(err, ThrottledError))


async def read_or_none_with_retry[T](question: Callable[[], Awaitable[T]]) -> T | NoAnswer:
    """Return the answer; where a budget of calls is used up, wait and ask once more."""

    async def asked() -> T:
        try:
            return await question()
        except ThrottledError as err:
            if err.retry_after is None:
                raise
            await asyncio.sleep(err.retry_after.total_seconds())
            return await question()

    return await read_or_none(asked(), seconds=LONG_PATIENCE)

"""Read an answer without which the work can continue. If it cannot be read, return why."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, ThrottledError

#: Seconds for one read. The host ends an HTTP request after 230 seconds, and an assessment makes
#: four reads in a row beside one with retry.
READ_TIMEOUT_SECONDS = 40.0
#: The same in a queue invocation, which the host ends after ten minutes.
INVOCATION_READ_TIMEOUT_SECONDS = 100.0
#: Seconds for a read that waits for the next minute's request budget.
LONG_PATIENCE = 65.0


_patience = ContextVar("patience", default=READ_TIMEOUT_SECONDS)


@contextmanager
def allow_longer_reads() -> Iterator[None]:
    """Let the reads inside the block take longer, because no HTTP client waits for them."""
    before = _patience.set(INVOCATION_READ_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        _patience.reset(before)


async def read_or_no_answer[T](
    question: Awaitable[T], *, seconds: float | None = None
) -> T | NoAnswer:
    """Return the answer to a question, or the reason why it could not be read.

    Raises internal errors.
    """
    seconds = _patience.get() if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds):
            return await question
    except CmkflowError as err:
        return build_no_answer(err)
    except TimeoutError:
        return NoAnswer(message=f"no answer within {seconds:.0f} seconds", is_throttled=True)


def build_no_answer(err: CmkflowError) -> NoAnswer:
    """Return an error as a `NoAnswer`."""
    return NoAnswer(message=redact(str(err)), is_throttled=isinstance(err, ThrottledError))


async def read_or_no_answer_with_retry[T](question: Callable[[], Awaitable[T]]) -> T | NoAnswer:
    """Return the answer to a question, as `read_or_no_answer` does.

    If the request budget is used up, wait and try once more.
    """

    async def read_with_retry() -> T:
        try:
            return await question()
        except ThrottledError as err:
            if err.retry_after is None:
                raise
            await asyncio.sleep(err.retry_after.total_seconds())
            return await question()

    return await read_or_no_answer(read_with_retry(), seconds=LONG_PATIENCE)

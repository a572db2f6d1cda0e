"""Count the requests that an invocation sends to the platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class RequestCount:
    """The number of requests that an invocation has sent, including retries."""

    def __init__(self) -> None:
        self.made = 0


_count: ContextVar[RequestCount | None] = ContextVar("call_count", default=None)


@contextmanager
def count_requests_in(count: RequestCount) -> Iterator[None]:
    """Count in `count` the requests that are sent inside the block.

    Requests of tasks that are started there count too.
    """
    before = _count.set(count)
    try:
        yield
    finally:
        _count.reset(before)


def count_request() -> None:
    """Count one request of the current invocation."""
    count = _count.get()
    if count is not None:
        count.made += 1

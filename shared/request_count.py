"""Count the requests that an invocation sends to the platform, where they are sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CallCount:
    """The number of requests that an invocation has sent, including retries."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.made = 0


_count: ContextVar[CallCount | None] = ContextVar("call_count", default=None)


@contextmanager
def count_in(count: CallCount) -> Iterator[None]:
    """Count in `count` the requests that are sent inside the block, also by tasks that are started
    there.
    """
    before = _count.set(count)
    try:
        yield
    finally:
        _count.reset(before)


def count_call() -> None:
    """Count one request of the current invocation."""
    count = _count.get()
    if count is not None:
        count.made += 1

"""How many calls of the platform a delivery makes: counted where they go out."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CallCount:
    """Requests that have gone out, second tries among them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.made = 0


_count: ContextVar[CallCount | None] = ContextVar("call_count", default=None)


@contextmanager
def counted_in(count: CallCount) -> Iterator[None]:
    """Count in `count` what is called inside, also by tasks that are begun there."""
    before = _count.set(count)
    try:
        yield
    finally:
        _count.reset(before)


def count_call() -> None:
    """Count one request of whoever counts."""
    count = _count.get()
    if count is not None:
        count.made += 1

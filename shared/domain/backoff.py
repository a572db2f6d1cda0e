"""How long to wait after a failure."""

from datetime import timedelta


def wait_after(
    failures: int, *, first: timedelta, longest: timedelta, asked: timedelta | None = None
) -> timedelta:
    """Return `first` doubled for each failure after the first, up to `longest`.

    `asked` is what the other side wants at the least (`Retry-After`); it may exceed `longest`.
    """
    doubled = first * 2 ** min(failures - 1, 30) if failures > 0 else first
    return max(min(doubled, longest), asked or timedelta(0))

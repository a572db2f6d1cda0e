"""How long to wait after a failure."""

import hashlib
from datetime import timedelta

#: Share of a wait by which those who wait together are spread, and by how much at most.
_SPREAD, _WIDEST = 0.1, timedelta(minutes=10)
#: A wait that is shorter may be over before it began: clocks differ.
_LEAST = timedelta(seconds=2)


def backoff_delay(
    failures: int, *, first: timedelta, longest: timedelta, asked: timedelta | None = None
) -> timedelta:
    """Return `first` doubled for each failure after the first, up to `longest`.

    `asked` is what the other side wants at the least (`Retry-After`); it may exceed `longest`.
    """
    doubled = first * 2 ** min(failures - 1, 30) if failures > 0 else first
    return max(min(doubled, longest), asked or timedelta(0))


def add_jitter(wait: timedelta, key: str, share: float = _SPREAD) -> timedelta:
    """Return a wait that is longer by up to a `share` of it, always by the same for the same key.

    What waits for the same thing then does not come back at the same moment.
    """
    fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32
    return max(wait, _LEAST) + min(wait * share, _WIDEST) * fraction

"""Compute how long to wait after failures."""

import hashlib
from datetime import timedelta

#: The share of a delay that is added at random, and the most that is added.
_JITTER_SHARE, _MAX_JITTER = 0.1, timedelta(minutes=10)
#: The shortest delay: a shorter one may have passed already on another machine's clock.
_MIN_DELAY = timedelta(seconds=2)


def compute_backoff_delay(
    failures: int, *, first: timedelta, longest: timedelta, asked: timedelta | None = None
) -> timedelta:
    """Return `first`, doubled for each failure after the first, up to `longest`.

    The delay is at least `asked`, which a service requires with `Retry-After`, even if that exceeds
    `longest`.
    """
    doubled = first * 2 ** min(failures - 1, 30) if failures > 0 else first
    return max(min(doubled, longest), asked or timedelta(0))


def add_jitter(wait: timedelta, key: str, share: float = _JITTER_SHARE) -> timedelta:
    """Return the delay, at least two seconds, plus an addition that depends on the key.

    The addition is at most `share` of the delay, or ten minutes. It keeps jobs that wait for the
    same thing from continuing at the same moment.
    """
    fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32
    return max(wait, _MIN_DELAY) + min(wait * share, _MAX_JITTER) * fraction

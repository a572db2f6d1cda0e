"""How many calls there were in a long time, counted in buckets: late, never early, it forgets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

_ZERO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTally:
    """A limit, and what counts in it at one moment: in no span are there more."""

    now: datetime
    limit: int
    span: timedelta
    #: What is made within so long of each other is forgotten together.
    bucket: timedelta
    #: How many count until when.
    counts: Mapping[datetime, int]

    def made(self, moment: datetime, calls: int) -> Self:
        """Return it with calls of this moment; fewer than none: they were not made after all."""
        until = moment - (moment - _ZERO) % self.bucket + self.bucket + self.span
        if until <= self.now:
            return self
        count = max(self.counts.get(until, 0) + calls, 0)
        return replace(self, counts={**self.counts, until: count})

    def left(self, held: int, *, is_urgent: bool) -> int:
        """Return how many may be made now beside those in hand; a tenth is for what is urgent."""
        return self._usable(is_urgent=is_urgent) - held - sum(self.counts.values())

    def opens(self, number: int, held: int, *, is_urgent: bool) -> datetime | None:
        """Return when that many more have been made at the earliest.

        None: when those are given back that somebody has in hand.
        """
        rounds, last = divmod(number - 1, self._usable(is_urgent=is_urgent))
        left, until = self.left(held, is_urgent=is_urgent), self.now
        for end, count in sorted(self.counts.items()):
            if left > last:
                break
            left, until = left + count, end
        return until + rounds * self.span if left > last else None

    def _usable(self, *, is_urgent: bool) -> int:
        return self.limit if is_urgent else self.limit - self.limit // 10

    @classmethod
    def read(
        cls,
        counts: Mapping[datetime, int],
        now: datetime,
        *,
        limit: int,
        span: timedelta,
        bucket: timedelta,
    ) -> Self:
        """Return what was stored, without what is over."""
        lasting = {until: count for until, count in counts.items() if until > now}
        return cls(now=now, limit=limit, span=span, bucket=bucket, counts=lasting)

"""Count requests of a long period in buckets, which expire late and never early."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

_ZERO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTally:
    """The requests of a long period, counted in buckets."""

    now: datetime
    limit: int
    span: timedelta
    #: Requests within this time expire together.
    bucket: timedelta
    #: Requests and the times until which they count.
    counts: Mapping[datetime, int]

    def with_requests(self, moment: datetime, calls: int) -> Self:
        """Return the tally with requests that were sent at this time.

        A negative number removes requests that were not sent.
        """
        until = moment - (moment - _ZERO) % self.bucket + self.bucket + self.span
        if until <= self.now:
            return self
        count = max(self.counts.get(until, 0) + calls, 0)
        return replace(self, counts={**self.counts, until: count})

    def count_requests_left(self, held: int, *, is_urgent: bool) -> int:
        """Return how many requests are left beside the `held` ones.

        A tenth of the limit is kept for urgent requests.
        """
        return self._count_usable_requests(is_urgent=is_urgent) - held - sum(self.counts.values())

    def find_opening_time(self, number: int, held: int, *, is_urgent: bool) -> datetime | None:
        """Return the earliest time at which `number` more requests are available.

        Returns None if that depends on when reserved requests are released.
        """
        rounds, last = divmod(number - 1, self._count_usable_requests(is_urgent=is_urgent))
        left, until = self.count_requests_left(held, is_urgent=is_urgent), self.now
        for end, count in sorted(self.counts.items()):
            if left > last:
                break
            left, until = left + count, end
        return until + rounds * self.span if left > last else None

    def _count_usable_requests(self, *, is_urgent: bool) -> int:
        return self.limit if is_urgent else self.limit - self.limit // 10

    @classmethod
    def parse(
        cls,
        counts: Mapping[datetime, int],
        now: datetime,
        *,
        limit: int,
        span: timedelta,
        bucket: timedelta,
    ) -> Self:
        """Return a tally with the stored counts that have not expired."""
        lasting = {until: count for until, count in counts.items() if until > now}
        return cls(now=now, limit=limit, span=span, bucket=bucket, counts=lasting)

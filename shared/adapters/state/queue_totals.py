"""Count the jobs that wait in the request queue, and the requests that they need.

The budget's row has these totals for parts of the queue, so that no reader needs to read a long
queue to its end. The beginning of a job's position says which part it is in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

#: Characters of a position that name its part: the rank, and the depth or two digits of a job's id.
_PART = 4


class Waiting(NamedTuple):
    """How many jobs wait, and how many requests their next and later invocations need."""

    waiters: int = 0
    calls: int = 0
    later: int = 0

    def add_times(self, other: "Waiting", *, times: int = 1) -> "Waiting":
        """Return the sum of this and `times` times the other. With -1, that is the difference."""
        return Waiting(*(one + times * more for one, more in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTotals:
    """The totals of a request queue, counted in parts by position."""

    #: By the beginning of the position. Parts without waiters are left out.
    parts: Mapping[str, Waiting] = field(default_factory=dict)

    @property
    def total(self) -> Waiting:
        """Return the totals of the whole queue."""
        return self.sum_up_to("~")

    def sum_up_to(self, position: str) -> Waiting:
        """Return the totals of all parts up to the one of this position, inclusive."""
        total, last = Waiting(), position[:_PART]
        for part, waiting in self.parts.items():
            if part <= last:
                total = total.add_times(waiting)
        return total

    def add_waiting(self, position: str, waiting: Waiting, *, times: int = 1) -> Self:
        """Return the totals with one more job at this position. With -1, with one job fewer."""
        part = position[:_PART]
        after = self.parts.get(part, Waiting()).add_times(waiting, times=times)
        after = Waiting(*(max(one, 0) for one in after))
        others = {name: count for name, count in self.parts.items() if name != part}
        return type(self)(parts={**others, part: after} if after.waiters > 0 else others)

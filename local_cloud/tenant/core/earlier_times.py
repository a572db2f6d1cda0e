"""Store earlier states of items, which reads show while they lag behind writes.

Writes and their responses use the current state; only reads use this module. See
platform.md#reads-lag.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from local_cloud.tenant.core.assumptions import Assumptions


@dataclass(frozen=True, slots=True)
class Lag:
    """The times at which a write becomes visible to reads of one item, and to lists."""

    reads: datetime
    lists: datetime


def draw_lag(assumptions: Assumptions, random: Random, now: datetime) -> Lag | None:
    """Return a random lag for a write that is made now, or None if the tenant has no lag."""
    if not max(*assumptions.read_lag_seconds, *assumptions.list_lag_seconds):
        return None
    reads = _draw_duration(random, assumptions.read_lag_seconds)
    lists = max(reads, _draw_duration(random, assumptions.list_lag_seconds))
    return Lag(now + reads, now + lists)


def _draw_duration(random: Random, seconds: Sequence[float]) -> timedelta:
    shortest, longest = seconds
    return timedelta(seconds=random.uniform(shortest, longest))


class Past[Item]:
    """The earlier states of an item that reads may still show."""

    def __init__(self) -> None:
        self._kept: list[tuple[Lag, Item | None]] = []

    def keep(self, item: Item | None, lag: Lag) -> None:
        """Store the state that reads show until the lag is over.

        None means that the item did not exist.
        """
        self._kept.append((lag, item))

    def find_shown_item(
        self, item: Item | None, now: datetime, *, in_list: bool = False
    ) -> Item | None:
        """Return the state that a read shows of an item whose current state is `item`.

        This is the state before the first write that is not visible yet, or else `item`.
        """
        self._kept = [kept for kept in self._kept if now < max(kept[0].reads, kept[0].lists)]
        for lag, before in self._kept:
            if now < (lag.lists if in_list else lag.reads):
                return before
        return item

    def is_over(self, now: datetime) -> bool:
        """Return whether every read shows the current state."""
        return all(now >= lag.lists for lag, _ in self._kept)

"""What reads still show of how things were: answers lag behind writes (platform.md#reads-lag).

Writes act on what is, and their own answers tell of it; only reads look here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from local_cloud.tenant.core.assumptions import Assumptions


@dataclass(frozen=True, slots=True)
class Lag:
    """Until when a write is not seen by reads, and by lists."""

    reads: datetime
    lists: datetime


def draw_lag(assumptions: Assumptions, random: Random, now: datetime) -> Lag | None:
    """The lag of a write that is made now; None: it is seen at once."""
    if not max(*assumptions.read_lag_seconds, *assumptions.list_lag_seconds):
        return None
    reads = _draw(random, assumptions.read_lag_seconds)
    lists = max(reads, _draw(random, assumptions.list_lag_seconds))
    return Lag(now + reads, now + lists)


def _draw(random: Random, seconds: Sequence[float]) -> timedelta:
    shortest, longest = seconds
    return timedelta(seconds=random.uniform(shortest, longest))


class Past[Item]:
    """How one thing was before each of its latest writes."""

    def __init__(self) -> None:
        self._kept: list[tuple[Lag, Item | None]] = []

    def keep(self, item: Item | None, lag: Lag) -> None:
        """Let reads show `item`, which is about to be written; None: there was none."""
        self._kept.append((lag, item))

    def shown(self, item: Item | None, now: datetime, *, in_list: bool = False) -> Item | None:
        """What reads show of a thing that is `item` by now: its state before the first write that
        is not seen yet."""
        self._kept = [kept for kept in self._kept if now < max(kept[0].reads, kept[0].lists)]
        for lag, before in self._kept:
            if now < (lag.lists if in_list else lag.reads):
                return before
        return item

    def is_over(self, now: datetime) -> bool:
        """True when every read shows what is."""
        return all(now >= lag.lists for lag, _ in self._kept)

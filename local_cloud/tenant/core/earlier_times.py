"""The earlier states that reads show while they lag behind writes (platform.md#reads-lag).

Writes and their responses use the current state; only reads use this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from local_cloud.tenant.core.assumptions import Assumptions


@dataclass(frozen=True, slots=True)
class Lag:
    """The times from which reads, and lists, show a write."""

    reads: datetime
    lists: datetime


def draw_lag(assumptions: Assumptions, random: Random, now: datetime) -> Lag | None:
    """Return the lag of a write that is made now, or None if reads show it at once."""
    if not max(*assumptions.read_lag_seconds, *assumptions.list_lag_seconds):
        return None
    reads = _draw_duration(random, assumptions.read_lag_seconds)
    lists = max(reads, _draw_duration(random, assumptions.list_lag_seconds))
    return Lag(now + reads, now + lists)


def _draw_duration(random: Random, seconds: Sequence[float]) -> timedelta:
    shortest, longest = seconds
    return timedelta(seconds=random.uniform(shortest, longest))


class Past[Item]:
    """The states of an item before each of its latest writes."""

    def __init__(self) -> None:
        self._kept: list[tuple[Lag, Item | None]] = []

    def keep(self, item: Item | None, lag: Lag) -> None:
        """Let reads show `item` until the lag ends; None means that the item did not exist."""
        self._kept.append((lag, item))

    def find_shown_item(
        self, item: Item | None, now: datetime, *, in_list: bool = False
    ) -> Item | None:
        """Return what reads show of the item whose current state is `item`.

        Reads show the state before the first write that they do not show yet.
        """
        self._kept = [kept for kept in self._kept if now < max(kept[0].reads, kept[0].lists)]
        for lag, before in self._kept:
            if now < (lag.lists if in_list else lag.reads):
                return before
        return item

    def is_over(self, now: datetime) -> bool:
        """Return whether every read shows the current state."""
        return all(now >= lag.lists for lag, _ in self._kept)

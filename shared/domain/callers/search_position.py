"""Record the position of a caller search, so that an interrupted search continues there."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class CallerSearchPosition:
    """The position that a search for one kind of caller has reached.

    Places are searched in the order of their keys, so that one key is the whole position. A place
    that is created later with a smaller key is not found (docs/adr/0003).
    """

    #: Key of the last place that was searched completely; empty: none.
    continue_after: str = ""
    #: Places that could not be searched, each with the reason.
    unreadable: list[str] = field(default_factory=list)

    def list_remaining_places[T](self, places: Iterable[T], key: Callable[[T], str]) -> Iterator[T]:
        """Yield the places that are not searched yet, in the order of their keys.

        When the next place is requested, the one before it counts as searched.
        """
        for place in sorted(places, key=key):
            if key(place) > self.continue_after:
                yield place
                self.continue_after = key(place)

"""How far a search for callers got, so that a used-up budget of calls does not start it anew."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class CallerSearchPosition:
    """The search of one kind. Places are taken in the order of their keys: one key tells all.

    A place that comes later with a smaller key is not seen, as in any search (docs/adr/0003).
    """

    #: Key of the last place that was searched whole; empty: none was.
    after: str = ""
    #: Places that could not be searched, with the reason, in words.
    refused: list[str] = field(default_factory=list)

    def left[T](self, places: Iterable[T], key: Callable[[T], str]) -> Iterator[T]:
        """Yield the places that were not searched; asking for the next one means: this is done."""
        for place in sorted(places, key=key):
            if key(place) > self.after:
                yield place
                self.after = key(place)

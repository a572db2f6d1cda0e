"""What a process remembers of large answers, so that it decodes and works them out once."""

from collections.abc import Callable

#: Values that are remembered; the one that was used longest ago is forgotten first.
_MOST = 16


class Memory:
    """Values by key, each with the source that it was made of. Nothing depends on it being kept."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._made: dict[object, tuple[object, object]] = {}

    def find(self, key: object, source: object) -> object | None:
        """Return what was made of this source; None: nothing, or it is forgotten."""
        found = self._made.pop(key, None)
        if found is None or found[0] != source:
            return None
        self._made[key] = found
        return found[1]

    def keep(self, key: object, source: object, value: object) -> None:
        """Remember a value in place of the one that was made of an earlier source."""
        self._made.pop(key, None)
        self._made[key] = (source, value)
        if len(self._made) > _MOST:
            del self._made[next(iter(self._made))]

    def made[S, T](self, key: object, source: S, make: Callable[[S], T], kind: type[T]) -> T:
        """Return what `make` makes of a source, of type `kind`; once for each source."""
        found = self.find(key, source)
        if isinstance(found, kind):
            return found
        value = make(source)
        self.keep(key, source, value)
        return value

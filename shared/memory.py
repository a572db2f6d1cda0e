"""Cache values computed from large responses, so that a process parses each response once."""

from collections.abc import Callable

#: Maximum number of values; the least recently used is dropped first.
_MOST = 16


class Memory:
    """A cache of values by key.

    Each value is valid for one source, such as an ETag, and may be dropped at any time.
    """

    def __init__(self) -> None:
        """Begin without values."""
        self._made: dict[object, tuple[object, object]] = {}

    def find(self, key: object, source: object) -> object | None:
        """Return the cached value for this key and source, or None."""
        found = self._made.pop(key, None)
        if found is None or found[0] != source:
            return None
        self._made[key] = found
        return found[1]

    def keep(self, key: object, source: object, value: object) -> None:
        """Cache a value in place of that of an earlier source."""
        self._made.pop(key, None)
        self._made[key] = (source, value)
        if len(self._made) > _MOST:
            del self._made[next(iter(self._made))]

    def get_or_make[S, T](self, key: object, source: S, make: Callable[[S], T], kind: type[T]) -> T:
        """Return the result of `make` for a source, of type `kind`.

        It is computed once for each source.
        """
        found = self.find(key, source)
        if isinstance(found, kind):
            return found
        value = make(source)
        self.keep(key, source, value)
        return value

"""The keys of the Functions host, which no app can read."""

from typing import Protocol


class FunctionKeys(Protocol):
    """Checks a function key that a request carries."""

    async def accepts(self, key: str) -> bool:
        """Return whether it is a key of this app; raises `TransientError` if that cannot be
        known.
        """

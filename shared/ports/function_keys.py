"""The port for the keys of the Functions host, which no app can read."""

from typing import Protocol


class FunctionKeys(Protocol):
    """Check function keys of requests."""

    async def accepts(self, key: str) -> bool:
        """Return whether a text is a function key of this app.

        Raises `TransientError` if that cannot be checked.
        """

"""The port for a time stamp authority (RFC 3161)."""

from typing import Protocol


class TimeStamps(Protocol):
    """Request time stamps."""

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Return the answer (DER) of the authority at this URL: a time stamp of content.

        Raises `PlatformError` if the authority rejects the request or its answer does not match
        it, and `ServiceUnavailable` without an answer. The signature is not verified.
        """

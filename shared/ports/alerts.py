"""Telling people what needs one of them."""

from typing import Protocol

from shared.domain.alert import Notice


class Notices(Protocol):
    """Carries a notice to wherever people look; a notice may come twice."""

    async def tell(self, notice: Notice) -> None:
        """Tell it."""

"""The port for callers that people declared. The app's own rows implement it."""

from collections.abc import AsyncIterator
from typing import Protocol

from shared.domain.callers.declared_caller import DeclaredCaller
from shared.errors import UnreadableRow


class StoredDeclaredCaller(Protocol):
    """A row with a declared caller."""

    @property
    def item(self) -> DeclaredCaller:
        """Return the declared caller."""


class DeclaredCallers(Protocol):
    """Read the declared callers that the app stores."""

    def scan(
        self, partition: str | None = None, /
    ) -> AsyncIterator[StoredDeclaredCaller | UnreadableRow]:
        """Yield every declared caller, with an error in place of each unreadable row."""

    async def get(self, partition: str, key: str, /) -> StoredDeclaredCaller | None:
        """Return the declared caller with an id, or None.

        Raises `UnreadableRow` if its row is unreadable.
        """

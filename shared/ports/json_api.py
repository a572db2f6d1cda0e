"""The port for services outside Azure and Power Platform that hold callers as JSON documents."""

import builtins
from collections.abc import Mapping, Sequence
from typing import Protocol


class JsonApi(Protocol):
    """Read and write documents of one service by their paths, such as `contoso/_apis/projects`.

    The service has no ETags. Paths have no leading slash.
    """

    async def read_scopes(self) -> Sequence[str]:
        """Return the configured organizations or repositories, without a request; empty: the
        service is not used.
        """

    async def list(
        self, path: str, query: Mapping[str, str] | None = None, *, member: str = ""
    ) -> builtins.list[Mapping[str, object]]:
        """Return all items of a list, which is the response or a member of it.

        Raises `PlatformError` without access, and `NotFound`.
        """

    async def get(self, path: str) -> Mapping[str, object]:
        """Return a document; raise `NotFound`."""

    async def put(self, path: str, body: Mapping[str, object]) -> None:
        """Replace a document; raise `NotFound`."""

    async def patch(self, path: str, body: Mapping[str, object]) -> None:
        """Change members of a document; raise `NotFound`."""

"""A credential with a token that an administrator created, such as a GitHub token."""

from types import TracebackType
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

#: The end of the year 9999: only the service knows when such a token expires.
_NEVER = 253_402_300_799


class FixedToken(AsyncTokenCredential):
    """Returns the same token for every scope."""

    def __init__(self, token: str) -> None:
        """Use `token`, which is never logged."""
        self._token = token

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ARG002
        """Return the token."""
        return AccessToken(self._token, _NEVER)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Do nothing: there is no connection."""

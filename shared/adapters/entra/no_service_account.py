"""Take the place of a service account that is not configured."""

from datetime import datetime
from typing import Any, Never, Self

from azure.core.credentials import AccessToken

from shared.errors import JobBlocked
from shared.reason import Reason


class NoServiceAccount:
    """A service account and azure-core credential that always raises `JobBlocked`."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Raise `JobBlocked`."""
        self._raise_not_configured()

    async def read_object_id(self) -> str:
        """Raise `JobBlocked`."""
        self._raise_not_configured()

    async def read_renewed_at(self) -> datetime | None:
        """Raise `JobBlocked`."""
        self._raise_not_configured()

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def _raise_not_configured(self) -> Never:
        raise JobBlocked(
            "No service account is configured. Only a co-owner can read a flow's trigger URL or a "
            "definition that the app has no access to.",
            fix="Set CMK_SERVICE_ACCOUNT_CLIENT_ID and "
            "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET, sign it "
            "in (`cmkflow service-account sign-in`), then retry.",
            code=Reason.SERVICE_ACCOUNT_SIGNED_OUT,
        )

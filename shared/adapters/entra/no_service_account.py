"""Stands in for the operator where none is set up: whoever needs one is told what to do."""

from datetime import datetime
from typing import Any, Never, Self

from azure.core.credentials import AccessToken

from shared.errors import JobBlocked
from shared.reason import Reason


class NoServiceAccount:
    """An operator, and an azure-core credential, that can only say that it is missing."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Raise `JobBlocked`."""
        self._refuse()

    async def object_id(self) -> str:
        """Raise `JobBlocked`."""
        self._refuse()

    async def renewed(self) -> datetime | None:
        """Raise `JobBlocked`."""
        self._refuse()

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing."""

    def _refuse(self) -> Never:
        raise JobBlocked(
            "No operator is set up, and only a co-owner may read a flow's trigger URL, or a "
            "definition that is kept from the app.",
            instruction="Set CMK_SERVICE_ACCOUNT_CLIENT_ID and "
            "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET, sign the "
            "operator in (`cmkflow service-account sign-in`), then retry.",
            code=Reason.SERVICE_ACCOUNT_SIGNED_OUT,
        )

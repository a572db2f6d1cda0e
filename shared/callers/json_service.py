"""Share what the kinds in services outside Azure and Power Platform have in common."""

import re
from abc import abstractmethod
from collections.abc import Sequence

from shared.callers.search import SearchedCallers, UnreadableCallers
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import PlatformError
from shared.ports import JsonApi, JsonService


class JsonServiceCallers(SearchedCallers):
    """A kind in one service; a subclass names the service and implements `CallerKind`."""

    service: JsonService

    def __init__(self, json_api: JsonApi) -> None:
        """Search the scopes that a setting names."""
        self._api = json_api

    async def read_scopes(self) -> Sequence[str]:
        """Return the configured organizations, repositories or sites, also malformed ones."""
        return await self._api.read_scopes(self.service)

    async def list_well_formed_scopes(self, unreadable: UnreadableCallers) -> Sequence[str]:
        """Return those whose name is well-formed, and record the others."""
        scopes = await self.read_scopes()
        for scope in scopes:
            if not self._is_well_formed(scope):
                unreadable.record_text(f"{redact(scope)} (malformed: {self.service.scope_hint})")
        return [scope for scope in scopes if self._is_well_formed(scope)]

    async def check_scope(self, scope: str) -> None:
        """Raise an error if a name is malformed or the app cannot search there."""
        if not self._is_well_formed(scope):
            text = f"{redact(scope)} is malformed. {self.service.scope_hint}"
            raise PlatformError(text, code="Malformed", status=400)
        await self.read_scope(scope)

    @abstractmethod
    async def read_scope(self, scope: str) -> None:
        """Read one of the lists of an organization, a repository or a site."""

    def _is_well_formed(self, scope: str) -> bool:
        return re.fullmatch(self.service.scope_pattern, scope) is not None

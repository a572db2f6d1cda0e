"""The base class of caller kinds in services outside Azure and Power Platform."""

import re
from abc import abstractmethod
from collections.abc import Sequence

from shared.callers.search import SearchedCallers, UnreadableCallers
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import PlatformError
from shared.ports import JsonApi, JsonService


class JsonServiceCallers(SearchedCallers):
    """The base class of caller kinds in services that are searched by scopes.

    A subclass names the service and finds the callers.
    """

    service: JsonService

    def __init__(self, json_api: JsonApi) -> None:
        self._api = json_api

    async def read_scopes(self) -> Sequence[str]:
        """Return the scopes that the setting names, including malformed names."""
        return await self._api.read_scopes(self.service)

    async def list_well_formed_scopes(self, unreadable: UnreadableCallers) -> Sequence[str]:
        """Return the scopes with a well-formed name, and record the others in `unreadable`."""
        scopes = await self.read_scopes()
        for scope in scopes:
            if not self._is_well_formed(scope):
                unreadable.record_unsearched(
                    f"{redact(scope)} (malformed: {self.service.scope_hint})"
                )
        return [scope for scope in scopes if self._is_well_formed(scope)]

    async def require_searchable_scope(self, scope: str) -> None:
        """Raise an error if a scope's name is malformed, or if the app cannot search the scope."""
        if not self._is_well_formed(scope):
            text = f"{redact(scope)} is malformed. {self.service.scope_hint}"
            raise PlatformError(text, code="Malformed", status=400)
        await self.require_readable_scope(scope)

    @abstractmethod
    async def require_readable_scope(self, scope: str) -> None:
        """Raise an error if the app cannot read a list of the scope, such as its webhooks."""

    def _is_well_formed(self, scope: str) -> bool:
        return re.fullmatch(self.service.scope_pattern, scope) is not None

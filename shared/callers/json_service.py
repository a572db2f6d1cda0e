"""Share what the kinds in services outside Azure and Power Platform have in common."""

from collections.abc import Sequence

from shared.ports import JsonApi, JsonService


class JsonServiceCallers:
    """A kind in one service; a subclass names the service and implements `CallerKind`."""

    service: JsonService

    def __init__(self, json_api: JsonApi) -> None:
        """Search the scopes that a setting names."""
        self._api = json_api

    async def read_scopes(self) -> Sequence[str]:
        """Return the configured organizations, repositories or sites."""
        return await self._api.read_scopes(self.service)

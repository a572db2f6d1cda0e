"""Read values of Azure resources that a GET omits because they are secret."""

from collections.abc import Mapping

from shared.adapters.azure.resource_manager import ResourceManager
from shared.ports import ResourceSecrets


class ListedResourceSecrets(ResourceSecrets):
    """Implements the port `ResourceSecrets` with Azure Resource Manager."""

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources

    async def read(self, resource_id: str, action: str, api_version: str) -> Mapping[str, object]:
        return await self._resources.send("POST", f"{resource_id}/{action}", api_version)

"""Read pipelines and other parts of Synapse workspaces. See platform.md#synapse."""

import builtins
from collections.abc import Mapping
from urllib.parse import quote

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, read_object
from shared.domain.clouds import Cloud
from shared.domain.definitions.json_values import as_mapping
from shared.ports import SynapseArtifacts

_VERSION = {"api-version": "2020-12-01"}


class WorkspaceArtifacts(SynapseArtifacts):
    """`SynapseArtifacts` by the development endpoint of each workspace."""

    def __init__(self, http: HttpClient, service: HttpService, cloud: Cloud) -> None:
        """Use the credential of `service`."""
        self._http = http
        self._service = service
        self._domain = cloud.synapse_domain

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection of a workspace."""
        items = self._http.items(self._service, self._request(workspace, collection))
        return [as_mapping(item) async for item in items]

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        """Return an item of a collection."""
        call = self._request(workspace, f"{collection}/{quote(name, safe='')}")
        return read_object(self._service, await self._http.send(self._service, call))

    def _request(self, workspace: str, path: str) -> ServiceRequest:
        url = f"https://{workspace}.{self._domain}/{path}"
        return ServiceRequest(method="GET", url=url, params=_VERSION)

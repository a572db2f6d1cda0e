"""Read and replace files of Logic Apps (Standard). See platform.md#logic-apps-standard."""

from urllib.parse import quote

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.clouds import Cloud
from shared.domain.definitions.json_values import text_at
from shared.errors import ServiceUnavailable
from shared.ports import SiteFile, SiteFiles

_VERSION = "2024-11-01"
_QUERY = {"api-version": "2018-11-01", "relativePath": "1"}


class RuntimeSiteFiles(SiteFiles):
    """Implements the port `SiteFiles` with the API of the app's runtime, through Azure Resource
    Manager.
    """

    def __init__(
        self, http: HttpClient, service: HttpService, resources: ResourceManager, cloud: Cloud
    ) -> None:
        self._url = cloud.resource_manager_url
        self._http = http
        self._service = service
        self._resources = resources

    async def list_workflows(self, site_id: str) -> list[str]:
        found = await self._resources.list_children(site_id, "workflows", _VERSION)
        return [(text_at(one, "name") or "").rpartition("/")[2] for one in found]

    async def read(self, site_id: str, path: str) -> SiteFile:
        call = ServiceRequest(method="GET", url=self._build_url(site_id, path), params=_QUERY)
        answer = await self._http.send(self._service, call)
        etag = answer.headers.get("ETag")
        if not etag:  # a write without it could overwrite a person's edit
            raise ServiceUnavailable(f"{self._service.name}: no ETag in the response")
        try:
            return SiteFile(text=answer.body.decode(), etag=etag)
        except UnicodeDecodeError:
            raise ServiceUnavailable(f"{self._service.name}: the file is no text") from None

    async def write(self, site_id: str, path: str, text: str, *, etag: str) -> None:
        call = ServiceRequest(
            method="PUT",
            url=self._build_url(site_id, path),
            params=_QUERY,
            headers={"If-Match": etag, "Content-Type": "application/json"},
            content=text.encode(),
        )
        await self._http.send(self._service, call)

    def _build_url(self, site_id: str, path: str) -> str:
        return f"{self._url}{site_id}/hostruntime/admin/vfs/{quote(path)}"

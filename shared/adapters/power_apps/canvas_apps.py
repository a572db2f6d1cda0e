"""Read an environment's canvas apps and their flows from the Power Apps service.

See platform.md#canvas-apps.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.adapters.power_apps.canvas_app_document import (
    FLOW_CONNECTOR,
    find_flow_ids,
    find_ids_in_text,
)
from shared.adapters.power_apps.connections import Creator, PowerAppsAdapter, read_page_at
from shared.concurrency import read_each
from shared.domain.clouds import Cloud
from shared.domain.power_apps import CanvasApp
from shared.errors import InvalidInput, NotFound, PlatformError, TransientError
from shared.ports import CanvasApps, ResultPage

#: The URL is signed, so no token is sent.
DOCUMENTS = HttpService(name="App documents", scope="", credential=None)
#: Media are part of a document, so it can have hundreds of megabytes. An instance has 2 GB.
_LARGEST_DOCUMENT = 32 * 1024 * 1024
_DOCUMENTS_AT_ONCE = 4


class _Document(Wire):
    #: A signed URL: a secret.
    readonly_value: str = Field("", repr=False)


class _Uris(Wire):
    document_uri: _Document | None = None


class _Properties(Wire):
    display_name: str = ""
    owner: Creator = Creator()
    connection_references: dict[str, Any] | None = None
    app_uris: _Uris | None = None


class _AppEntity(Wire):
    name: str
    properties: _Properties

    @property
    def uses_flows(self) -> bool:
        references = (self.properties.connection_references or {}).values()
        return any(
            FLOW_CONNECTOR in str(reference.get("id", "")).lower()
            for reference in references
            if isinstance(reference, dict)
        )

    @property
    def title(self) -> str:
        return self.properties.display_name or self.name

    @property
    def listed_flow_ids(self) -> frozenset[str]:
        return find_ids_in_text(json.dumps(self.properties.connection_references))

    @property
    def document_url(self) -> str:
        uris = self.properties.app_uris
        return uris.document_uri.readonly_value if uris and uris.document_uri else ""


class PowerAppsCanvasApps(PowerAppsAdapter, CanvasApps):
    """Implements the port `CanvasApps` with the Power Apps service in the admin scope."""

    def __init__(self, http: HttpClient, service: HttpService, cloud: Cloud) -> None:
        super().__init__(http, service, cloud)
        self._gate = asyncio.Semaphore(_DOCUMENTS_AT_ONCE)

    async def list_with_flows(self, environment_id: str) -> list[CanvasApp]:
        apps = await self._read_apps(environment_id)
        return await read_each([app for app in apps if app.uses_flows], self._read_canvas_app)

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[CanvasApp]:
        call = self._build_request(environment_id, "apps")
        rows, following = await read_page_at(self._http, self._service, call, cursor)
        apps = [parse_wire(_AppEntity, row) for row in rows]
        found = await read_each([app for app in apps if app.uses_flows], self._read_canvas_app)
        return ResultPage(items=tuple(found), cursor=following)

    async def get(self, environment_id: str, name: str) -> CanvasApp:
        """Return an app.

        Reads the whole list, the only documented source of the URL of an app's document. See
        platform.md#canvas-apps.
        """
        for app in await self._read_apps(environment_id):
            if app.name != name:
                continue
            try:
                return _build_canvas_app(
                    app, await self._read_flow_ids(app) if app.uses_flows else frozenset()
                )
            except NotFound as err:
                raise InvalidInput(
                    "The app's document does not exist at the URL from the platform."
                ) from err
        raise NotFound(f"No app {name}")

    async def _read_apps(self, environment_id: str) -> list[_AppEntity]:
        call = self._build_request(environment_id, "apps")
        return [
            parse_wire(_AppEntity, item)
            async for item in self._http.read_items(self._service, call)
        ]

    async def _read_canvas_app(self, app: _AppEntity) -> CanvasApp:
        try:
            return _build_canvas_app(app, await self._read_flow_ids(app))
        except (NotFound, PlatformError, TransientError, InvalidInput) as err:
            gap = f"Cannot read the document of app {app.title}: {_describe_error(err)}"
        return replace(_build_canvas_app(app, app.listed_flow_ids), unknown_reason=gap)

    async def _read_flow_ids(self, app: _AppEntity) -> frozenset[str]:
        if urlsplit(app.document_url).scheme != "https":
            raise InvalidInput("The platform returned no URL of the document.")
        call = ServiceRequest(
            method="GET",
            url=app.document_url,
            headers={"Accept-Encoding": "identity"},  # compressed bytes would pass the limit
            longest_answer=_LARGEST_DOCUMENT + 1,
        )
        async with self._gate:
            answer = await self._http.send(DOCUMENTS, call)
            if len(answer.body) > _LARGEST_DOCUMENT:
                raise InvalidInput(f"The app's document has more than {_LARGEST_DOCUMENT} bytes.")
            return app.listed_flow_ids | find_flow_ids(answer.body)


def _describe_error(err: NotFound | PlatformError | TransientError | InvalidInput) -> str:
    """Return the text of an error without the document's URL, which contains a signature."""
    match err:
        case InvalidInput():
            return str(err)
        case NotFound():
            return "It does not exist at the URL from the platform."
        case PlatformError():
            return "The service rejected the request."
        case _:
            return "The service does not answer."


def _build_canvas_app(app: _AppEntity, ids: frozenset[str]) -> CanvasApp:
    return CanvasApp(
        name=app.name,
        display_name=app.title,
        owner=app.properties.owner.name,
        flow_ids=ids,
    )

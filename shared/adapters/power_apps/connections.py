"""Read an environment's connections from the Power Apps service (platform.md#connection-list)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pydantic import Field

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    parse_object,
    require_next_page_on_service,
)
from shared.adapters.http.wire import Wire, parse_wire
from shared.concurrency import read_each
from shared.domain.clouds import Cloud
from shared.domain.definitions.connector_sign_in import ConnectorSignIn, parse_sign_in
from shared.domain.definitions.json_values import mapping_at
from shared.domain.power_apps import Connection, add_sign_in
from shared.errors import NotFound, PlatformError
from shared.ports import Connections, ResultPage

_VERSION = {"api-version": "2016-11-01"}
_PATH = "providers/Microsoft.PowerApps/scopes/admin/environments"


class PowerAppsAdapter:
    """The base class of adapters that read from the Power Apps service in the admin scope."""

    def __init__(self, http: HttpClient, service: HttpService, cloud: Cloud) -> None:
        """`service` has the audience of the admin API. See platform.md#audiences."""
        self._http = http
        self._service = service
        self._url = f"https://{cloud.power_apps_host}/{_PATH}"

    def _build_request(self, environment_id: str, path: str) -> ServiceRequest:
        """Return the request for a path below an environment, such as `apps`."""
        return ServiceRequest(
            method="GET", url=f"{self._url}/{environment_id}/{path}", params=_VERSION
        )


class Creator(Wire):
    """The person or app that created an item."""

    display_name: str | None = None
    user_principal_name: str | None = None
    email: str | None = None
    id: str | None = None

    @property
    def name(self) -> str:
        """Return the display name, or else the user principal name, email address or id."""
        return self.display_name or self.user_principal_name or self.email or self.id or ""


class _ConnectionError(Wire):
    code: str = ""
    message: str = ""


class _Status(Wire):
    status: str = ""
    error: _ConnectionError = _ConnectionError()


class _ParameterSet(Wire):
    name: str = ""


class _Properties(Wire):
    api_id: str = ""
    display_name: str | None = None
    created_by: Creator = Creator()
    connection_parameters_set: _ParameterSet | None = None
    statuses: tuple[_Status, ...] = ()


class _ConnectionEntity(Wire):
    name: str
    properties: _Properties = Field(default_factory=_Properties)

    @property
    def connector(self) -> str:
        return self.properties.api_id.rpartition("/")[2]

    @property
    def error(self) -> str:
        """Return the message of the connection's first error, or "" if it has none."""
        bad = (one for one in self.properties.statuses if one.status.lower() == "error")
        return next((one.error.message or one.error.code or one.status for one in bad), "")

    def to_domain(self) -> Connection:
        chosen = self.properties.connection_parameters_set
        return Connection(
            name=self.name,
            connector=self.connector,
            display_name=self.properties.display_name or self.name,
            owner=self.properties.created_by.name,
            sign_in=chosen.name if chosen else "",
        )


class PowerAppsConnections(PowerAppsAdapter, Connections):
    """Implements the port `Connections` with the Power Apps service in the admin scope."""

    async def list(self, environment_id: str) -> list[Connection]:
        found = [one.to_domain() for one in await self._read_entities(environment_id)]
        names = sorted({one.connector for one in found if one.connector})
        read = await read_each(names, partial(self.read_sign_in, environment_id))
        return add_sign_in(found, dict(zip(names, read, strict=True)))

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[Connection]:
        call = self._build_request(environment_id, "connections")
        rows, following = await read_page_at(self._http, self._service, call, cursor)
        found = (parse_wire(_ConnectionEntity, row).to_domain() for row in rows)
        return ResultPage(items=tuple(found), cursor=following)

    async def read_errors(self, environment_id: str) -> dict[str, str]:
        return {one.name.lower(): one.error for one in await self._read_entities(environment_id)}

    async def _read_entities(self, environment_id: str) -> Sequence[_ConnectionEntity]:
        call = self._build_request(environment_id, "connections")
        return [
            parse_wire(_ConnectionEntity, item)
            async for item in self._http.read_items(self._service, call)
        ]

    async def read_sign_in(self, environment_id: str, connector: str) -> ConnectorSignIn:
        call = self._build_request(environment_id, f"apis/{connector}")
        try:
            answer = parse_object(self._service, await self._http.send(self._service, call))
        except (NotFound, PlatformError):
            return ConnectorSignIn()
        return parse_sign_in(mapping_at(answer, "properties"))


async def read_page_at(
    http: HttpClient, service: HttpService, call: ServiceRequest, cursor: str
) -> tuple[list[object], str]:
    """Return the items of the page at a cursor, and the cursor of the next page.

    The next cursor is "" after the last page. The cursor is the service's link to a page, so its
    host is checked before the token is sent to it.
    """
    if cursor:
        require_next_page_on_service(service, call.url, cursor)
        call = replace(call, url=cursor, params={})
    return await http.read_page(service, call)

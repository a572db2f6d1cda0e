"""Send requests to the flow service at the host of the environment's region.

An environment names its own host. For some tenants the global host rejects every request, because
it cannot determine their region. See platform.md#regional-hosts.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    ServiceResponse,
    is_url_in_domain,
    parse_object,
    require_next_page_on_service,
)
from shared.domain.clouds import Cloud
from shared.errors import NotFound
from shared.logs.fields import get_product_log

_VERSION = {"api-version": "2016-11-01"}
#: Error of the global host if it cannot determine the region, sometimes inside another error.
_NO_REGION = b"MacroRegionDerivationFailed"
_LOCATION = re.compile(rb"for location\W*(?:u0027)?\W*([a-z]+)", re.IGNORECASE)
#: Locations whose host has another name.
_HOST_NAMES = {"europe": "emea", "uk": "unitedkingdom"}

_log = get_product_log(__name__)


class Endpoints(Protocol):
    """Finds the URL of the flow service for an environment."""

    async def read_flow_endpoint(self, environment_id: str) -> str:
        """Return the URL of the flow service for an environment, or "" if the platform names none.

        Raises `NotFound` for an unknown environment.
        """


class RegionalHost(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Retries a request at the regional host if the global host cannot determine the region.

    After this error nothing was changed, so a write is safe to retry.
    """

    def __init__(self, service: HttpService) -> None:
        (self._global_host,) = service.domains

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        response = await self.next.send(request)
        refused, host = request.http_request, self._find_regional_host(response.http_response)
        if not host or host == urlsplit(refused.url).hostname:
            return response
        _log.warning("request retried", extra={"host": host, "why": _NO_REGION.decode()})
        refused.url = urlsplit(refused.url)._replace(netloc=host).geturl()
        return await self.next.send(request)

    def _find_regional_host(self, response: AsyncHttpResponse) -> str:
        """Return the host of the region that the error response names, or ""."""
        if response.status_code != 400 or _NO_REGION not in response.content:
            return ""
        named = _LOCATION.search(response.content)
        location = named[1].decode().lower() if named else ""
        return f"{_HOST_NAMES.get(location, location)}.{self._global_host}" if location else ""


class FlowService:
    """Sends requests about flows of any environment, all with the same identity."""

    def __init__(
        self, http: HttpClient, service: HttpService, endpoints: Endpoints, cloud: Cloud
    ) -> None:
        """`service` has the audience of the cloud's flow service."""
        self._http = http
        self._host = cloud.flow_service_host
        #: Domains of trigger URLs, which also serve contents of runs (platform.md#url-shapes).
        self.content_domains = (
            cloud.logic_apps_domain,
            f"environment.{cloud.power_platform_domain}",
        )
        self._service = replace(service, domains=(self._host,), policies=(RegionalHost,))
        self._endpoints = endpoints
        self._signed = HttpService(
            name="Run contents", scope="", credential=None, budget=service.budget
        )

    @property
    def scope(self) -> str:
        """Return the scope of access tokens."""
        return self._service.scope

    async def send(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> ServiceResponse:
        """Send a request with a `url` relative to the environment, such as `flows/NAME`.

        Uses the admin scope, or the maker scope if `as_maker`.
        """
        call = await self._with_absolute_url(environment_id, call, as_maker=as_maker)
        return await self._http.send(self._service, call)

    async def read(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> Mapping[str, object]:
        """Send a request and return the JSON object in the response."""
        answer = await self.send(environment_id, call, as_maker=as_maker)
        return parse_object(self._service, answer)

    async def read_signed_url(
        self, call: ServiceRequest, longest: int
    ) -> Mapping[str, object] | None:
        """Return the JSON object at a signed URL, or None if it is longer than `longest` bytes.

        Sends no token. The request counts against the budget of the flow service.
        """
        # Compressed bytes would pass the limit.
        headers = {**call.headers, "Accept-Encoding": "identity"}
        answer = await self._http.send(
            self._signed, replace(call, headers=headers, longest_answer=longest + 1)
        )
        return None if len(answer.body) > longest else parse_object(self._signed, answer)

    async def read_items(self, environment_id: str, call: ServiceRequest) -> AsyncGenerator[object]:
        """Yield the items of a paged list in the admin scope."""
        absolute = await self._with_absolute_url(environment_id, call)
        async with aclosing(self._http.read_items(self._service, absolute)) as items:
            async for item in items:
                yield item

    async def read_page(
        self, environment_id: str, call: ServiceRequest, cursor: str = ""
    ) -> tuple[list[object], str]:
        """Return the items of a page and the cursor of the next, or "" after the last."""
        call = await self._with_absolute_url(environment_id, call)
        if cursor:
            require_next_page_on_service(self._service, call.url, cursor)
            call = replace(call, url=cursor, params={})
        return await self._http.read_page(self._service, call)

    async def _with_absolute_url(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> ServiceRequest:
        try:
            endpoint = await self._endpoints.read_flow_endpoint(environment_id)
        except NotFound:  # the flow service reports it; here it would look like a missing flow
            endpoint = ""
        base = (
            endpoint.rstrip("/")
            if is_url_in_domain(endpoint, self._host)
            else f"https://{self._host}"
        )
        scope = "" if as_maker else "scopes/admin/"
        path = f"providers/Microsoft.ProcessSimple/{scope}environments/{environment_id}"
        url = f"{base}/{path}/{call.url}"
        return replace(call, url=url, params={**_VERSION, **call.params})

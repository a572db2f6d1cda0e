"""The flow service: a host for each region, and which of them a call goes to.

An environment names its own host; the global one refuses every call of some tenants, because it
cannot tell their region. Token and audience are the service's, whichever host is called.

See platform.md#regional-hosts.
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
    check_next,
    is_within,
    read_object,
)
from shared.errors import NotFound
from shared.log_fields import product_log

#: The audience ends in a slash, which the scope keeps (platform.md#audience-slash).
SCOPE = "https://service.flow.microsoft.com//.default"
#: All hosts of the service are this one or lie below it.
DOMAIN = "api.flow.microsoft.com"
_GLOBAL = f"https://{DOMAIN}"
_VERSION = {"api-version": "2016-11-01"}
#: What the global host answers where it cannot tell the region, bare or in another error.
_NO_REGION = b"MacroRegionDerivationFailed"
_LOCATION = re.compile(rb"for location\W*(?:u0027)?\W*([a-z]+)", re.IGNORECASE)
#: Locations whose host is called otherwise.
_HOST_NAMES = {"europe": "emea", "uk": "unitedkingdom"}

_log = product_log(__name__)


class Endpoints(Protocol):
    """Where the services of an environment answer."""

    async def flow_endpoint(self, environment_id: str) -> str:
        """Return the address of its flow service as the platform writes it; empty: it does not.

        Raises `NotFound` for an unknown environment.
        """


class RegionalHost(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Makes a call once more, at the regional host, where no region could be told.

    Such a refusal means that nothing was done, so even a write is sent again.
    """

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        """Send the request on, once or twice."""
        response = await self.next.send(request)
        refused, host = request.http_request, _regional_host(response.http_response)
        if not host or host == urlsplit(refused.url).hostname:
            return response
        _log.warning("request retried", extra={"host": host, "why": _NO_REGION.decode()})
        refused.url = urlsplit(refused.url)._replace(netloc=host).geturl()
        return await self.next.send(request)


class FlowService:
    """Calls about the flows of any environment, as one identity."""

    def __init__(self, http: HttpClient, service: HttpService, endpoints: Endpoints) -> None:
        """`service` has `SCOPE`."""
        self._http = http
        self._service = replace(service, domains=(DOMAIN,), policies=(RegionalHost,))
        self._endpoints = endpoints

    async def send(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> ServiceResponse:
        """Make a call; its `url` is relative to the environment, such as `flows/NAME`.

        In an administrator's view, or in a maker's.
        """
        call = await self._absolute(environment_id, call, as_maker=as_maker)
        return await self._http.send(self._service, call)

    async def read(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> Mapping[str, object]:
        """Make a call and return the JSON object that it answers."""
        answer = await self.send(environment_id, call, as_maker=as_maker)
        return read_object(self._service, answer)

    async def items(self, environment_id: str, call: ServiceRequest) -> AsyncGenerator[object]:
        """Yield the items of a paged list, in an administrator's view."""
        absolute = await self._absolute(environment_id, call)
        async with aclosing(self._http.items(self._service, absolute)) as items:
            async for item in items:
                yield item

    async def page(
        self, environment_id: str, call: ServiceRequest, cursor: str = ""
    ) -> tuple[list[object], str]:
        """Return the items of one page, and the next one's cursor; empty: it was the last."""
        call = await self._absolute(environment_id, call)
        if cursor:
            check_next(self._service, call.url, cursor)
            call = replace(call, url=cursor, params={})
        return await self._http.page(self._service, call)

    async def _absolute(
        self, environment_id: str, call: ServiceRequest, *, as_maker: bool = False
    ) -> ServiceRequest:
        try:
            told = await self._endpoints.flow_endpoint(environment_id)
        except NotFound:  # for the flow service to say: here it would read as a flow that is gone
            told = ""
        base = told.rstrip("/") if is_within(told, DOMAIN) else _GLOBAL
        scope = "" if as_maker else "scopes/admin/"
        path = f"providers/Microsoft.ProcessSimple/{scope}environments/{environment_id}"
        url = f"{base}/{path}/{call.url}"
        return replace(call, url=url, params={**_VERSION, **call.params})


def _regional_host(response: AsyncHttpResponse) -> str:
    """Return the host of the location that an answer could not place; else nothing."""
    if response.status_code != 400 or _NO_REGION not in response.content:
        return ""
    named = _LOCATION.search(response.content)
    location = named[1].decode().lower() if named else ""
    return f"{_HOST_NAMES.get(location, location)}.{DOMAIN}" if location else ""

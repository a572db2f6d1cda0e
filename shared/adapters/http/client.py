"""Send HTTP requests to the platform, with one transport for all services.

A service is a token audience with a credential and a request budget. Requests use `HTTPS_PROXY` and
`SSL_CERT_FILE`, and time out after 20 seconds. A failed read is retried once. A write is not,
because the queue message is delivered again and each step reads before it writes. A throttled
request raises `ThrottledError` at once, except between the pages of a list, which would otherwise
never complete.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.policies import AsyncHTTPPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.adapters.http.errors import FailedResponse, build_error
from shared.adapters.http.policies import (
    IS_REPEATABLE,
    CircuitBreakerGate,
    NoCircuitBreakerGate,
    NotTaken,
    RequestCounting,
    RequestHead,
    RequestLimiter,
    RetryOnce,
    TokenRenewal,
)
from shared.adapters.http.request_tracing import RequestTracing
from shared.adapters.http.transport import IS_PLAIN, PlainTransport
from shared.domain.definitions.json_values import JsonTooDeep, parse_json_value
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    InvalidInput,
    ServiceUnavailable,
    ThrottledError,
    TokenRejected,
)
from shared.ports import NoTelemetry, Telemetry

_CALL_SECONDS = 20.0
#: Maximum total wait for a budget between the pages of a list.
_PATIENCE = timedelta(minutes=4)
_USER_AGENT = "cmk-flow-remediation"
_ENVIRONMENT = re.compile(r"/environments/([^/]+)", re.IGNORECASE)
#: Without a user or another port, and unambiguous for every URL parser.
_HTTPS = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?::443)?(?:[/?]|$)", re.IGNORECASE)
_UNTOLD_WAIT = timedelta(seconds=10)  # for a 429 without Retry-After

type _Policy = AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse] | SansIOHTTPPolicy[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """A service that adapters send requests to, with its credential and request budget."""

    #: Name in messages and request counts, such as `Flow service`.
    name: str
    #: `https://service.flow.microsoft.com//.default`.
    scope: str
    #: None: requests have no token, such as those to a signed URL.
    credential: AsyncTokenCredential | None
    budget: RequestLimiter | None = None
    #: Domains that may serve next pages, beside the requested host, including their subdomains.
    domains: tuple[str, ...] = ()
    #: Build further pipeline policies of the service.
    policies: tuple[Callable[["HttpService"], _Policy], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request to a service."""

    method: str
    url: str
    #: Added to the URL's query.
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: JSON body; None: no body.
    body: object = None
    #: Body sent unchanged, instead of JSON.
    content: bytes | None = field(default=None, repr=False)
    #: Whether a retry is harmless; None: if it is a GET.
    is_repeatable: bool | None = None
    #: Maximum bytes to read of the response; None: all.
    longest_answer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResponse:
    """A successful response. Its body can contain a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class HttpClient:
    """Sends requests to services. All adapters of a process share it."""

    def __init__(
        self,
        transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse],
        circuits: CircuitBreakerGate | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Take ownership of `transport`. Without circuit breakers, every request is sent."""
        self._transport = transport
        self._telemetry = telemetry or NoTelemetry()
        self._circuits = circuits or NoCircuitBreakerGate()
        self._pipelines: dict[HttpService, AsyncPipeline[HttpRequest, AsyncHttpResponse]] = {}
        #: Requests sent, by service.
        self.calls: Counter[str] = Counter()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def pause(self, duration: timedelta) -> None:
        """Wait for this time."""
        await self._transport.sleep(duration.total_seconds())

    def without_circuit_breakers(self) -> "HttpClient":
        """Return a client on the same connections that uses no circuit breakers."""
        return HttpClient(self._transport, telemetry=self._telemetry)

    async def send(self, service: HttpService, call: ServiceRequest) -> ServiceResponse:
        """Send a request and return the response.

        Raises the errors of errors.py for a status of 300 or above, and `ServiceUnavailable` if
        there is no response. Redirects are not followed: a server that redirects did not accept the
        request.
        """
        request = HttpRequest(
            call.method,
            call.url,
            params=dict(call.params),
            headers={"Accept": "application/json", **call.headers},
            json=call.body,
            content=call.content,
        )
        repeatable = call.method == "GET" if call.is_repeatable is None else call.is_repeatable
        # A write does not wait: its step checked the permission just now.
        budget = service.budget if repeatable else None
        while True:
            if budget is not None:
                await budget.wait_for_requests()
            try:
                return await self._send_once(service, call, request, is_repeatable=repeatable)
            except NotTaken:  # concurrent requests took it first
                if budget is None or not budget.is_in_invocation:
                    raise

    async def _send_once(
        self,
        service: HttpService,
        call: ServiceRequest,
        request: HttpRequest,
        *,
        is_repeatable: bool,
    ) -> ServiceResponse:
        is_cut = call.longest_answer is not None
        options = {IS_REPEATABLE: is_repeatable, IS_PLAIN: not is_cut}
        pipeline = self._get_pipeline(service)
        # As `guard_request` does, without its generator, which takes as long as the pipeline.
        async with self._enter_circuit_breaker(service, call.url):
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    ran = await pipeline.run(request, stream=is_cut, **options)
                    response = ran.http_response
                    body = await _read_beginning(response, call.longest_answer)
                    if response.status_code >= 300:
                        raise await self._handle_error_response(service, response, body)
            except (TimeoutError, AzureError) as err:
                raise await self._explain_missing_answer(service, call.url, err) from None
        return ServiceResponse(status=response.status_code, headers=response.headers, body=body)

    @asynccontextmanager
    async def open_pipeline(
        self, service: HttpService, url: str
    ) -> AsyncGenerator[AsyncPipeline[HttpRequest, AsyncHttpResponse]]:
        """Provide the service's pipeline for a request, with a timeout.

        An SDK client on this pipeline raises the same errors as `send`. While the circuit breaker
        is open, raises `ServiceOutage` and sends no request.
        """
        async with self._enter_circuit_breaker(service, url):
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    yield self._get_pipeline(service)
            except (TimeoutError, AzureError) as err:
                raise await self._explain_missing_answer(service, url, err) from None

    def _enter_circuit_breaker(
        self, service: HttpService, url: str
    ) -> AbstractAsyncContextManager[None]:
        parts = urlsplit(url)
        found = _ENVIRONMENT.search(parts.path)
        place = found[1].lower() if found else parts.hostname or ""
        return self._circuits.guard_request(service.name, place, parts.path)

    async def _explain_missing_answer(
        self, service: HttpService, url: str, err: TimeoutError | AzureError
    ) -> CmkflowError:
        host = urlsplit(url).hostname
        match err:
            case TimeoutError():
                return ServiceUnavailable(f"{service.name}: timeout of {host}")
            case HttpResponseError():
                return await self._convert_sdk_error(service, err)
            case AzureError():  # connection errors; through a proxy, the message names the proxy
                text = f"{service.name}: no connection to {host}: {err.message}"
                return ServiceUnavailable(redact(text))

    async def _convert_sdk_error(
        self, service: HttpService, err: HttpResponseError
    ) -> CmkflowError:
        response = cast("AsyncHttpResponse | None", err.response)
        status = response.status_code if response is not None else 0
        if isinstance(err, ClientAuthenticationError):
            text = redact(f"{service.name}: no access token: {err.message}")
            is_no = 400 <= status < 500 and status != 429
            return (
                TokenRejected(text, code="AuthenticationFailed")
                if is_no
                else ServiceUnavailable(text)
            )
        if response is not None and status >= 400:
            return await self._handle_error_response(service, response, response.content)
        return ServiceUnavailable(redact(f"{service.name}: {err.message}"))

    async def read_items(
        self,
        service: HttpService,
        call: ServiceRequest,
        *,
        member: str = "value",
        link: str = "nextLink",
    ) -> AsyncGenerator[object]:
        """Yield the items of a paged list.

        `member` contains the items, and `link` the URL of the next page. After the first page,
        waits up to four minutes in total for an exhausted budget.
        """
        waited = timedelta(0)
        is_first = True
        read = {call.url}
        while True:
            try:
                items, following = await self.read_page(service, call, member=member, link=link)
            except ThrottledError as err:
                wait = err.retry_after or _UNTOLD_WAIT
                waited += wait
                if is_first or waited > _PATIENCE:
                    raise
                await self.pause(wait)
                continue
            for item in items:
                yield item
            if not following:
                return
            note_new_page_url(service, following, read)
            call = replace(call, url=following, params={})
            is_first = False

    async def read_page(
        self,
        service: HttpService,
        call: ServiceRequest,
        *,
        member: str = "value",
        link: str = "nextLink",
    ) -> tuple[list[object], str]:
        """Return the items of a page and the URL of the next, or "" after the last."""
        document = parse_object(service, await self.send(service, call))
        items, following = parse_page(service, document, member=member, link=link)
        if following:
            if following.startswith("/") and not following.startswith("//"):
                following = urljoin(call.url, following)  # platform.md#app-configuration
            require_next_page_on_service(service, call.url, following)
        return items, following

    async def _handle_error_response(
        self, service: HttpService, response: AsyncHttpResponse, body: bytes
    ) -> CmkflowError:
        request = response.request
        failed = FailedResponse(
            service=service.name,
            method=request.method,
            is_create=request.headers.get("If-None-Match") == "*",
            status=response.status_code,
            headers=response.headers,
            body=body,
        )
        return await self.handle_failed_response(service, failed)

    async def handle_failed_response(
        self, service: HttpService, failed: FailedResponse
    ) -> CmkflowError:
        """Return the error for a failed response.

        If the service throttled the request, pauses the service's budget.
        """
        error = build_error(failed)
        if isinstance(error, ThrottledError) and service.budget is not None:
            await service.budget.slow_down(error.retry_after or _UNTOLD_WAIT)
        return error

    def _get_pipeline(self, service: HttpService) -> AsyncPipeline[HttpRequest, AsyncHttpResponse]:
        if service not in self._pipelines:
            policies: list[_Policy] = [
                RequestHead(_USER_AGENT),
                RetryOnce(self._transport.sleep),
                *(build(service) for build in service.policies),
                RequestCounting(service.name, service.budget, self.calls),
            ]
            if service.credential:
                policies.insert(-1, TokenRenewal(service.credential, service.scope))
            policies.append(RequestTracing(service.name, self._telemetry))
            self._pipelines[service] = AsyncPipeline(self._transport, policies=policies)
        return self._pipelines[service]


async def _read_beginning(response: AsyncHttpResponse, longest: int | None) -> bytes:
    if longest is None:
        return response.content
    body = bytearray()
    try:
        async for part in response.iter_raw():
            body += part
            if len(body) >= longest:
                break
    finally:
        await response.close()
    return bytes(body[:longest])


def parse_page(
    service: HttpService, document: Mapping[str, object], *, member: str, link: str
) -> tuple[list[object], str]:
    """Return the items of a page, and the URL of the next page, which is not checked."""
    items, following = document.get(member), document.get(link)
    if not isinstance(items, list):
        raise ServiceUnavailable(f"{service.name}: no list in the response")
    return items, following if isinstance(following, str) else ""


def require_next_page_on_service(service: HttpService, url: str, following: str) -> None:
    """Raise `ServiceUnavailable` if the URL of a next page is not on a host of the service.

    A next page can be on another host of the same service (a regional one, or Resource Manager's,
    as recorded responses of Power Apps show). Hosts of other services must not get the access
    token. Anyone can have a host in Microsoft's domains (`*.cloudapp.azure.com`).
    """
    note_new_page_url(service, following, {url})
    asked = urlsplit(url).hostname or ""
    if not any(is_url_in_domain(following, one) for one in (asked, *service.domains)):
        raise ServiceUnavailable(f"{service.name}: the next page is on an unexpected host")


def note_new_page_url(service: HttpService, following: str, read: set[str]) -> None:
    """Add the URL of a next page to the URLs in `read`.

    Raises `ServiceUnavailable` if it is already there, because the list would never end.
    """
    if following in read:
        raise ServiceUnavailable(f"{service.name}: the next page of a list was already read")
    read.add(following)


def is_url_in_domain(url: str, domain: str) -> bool:
    """Return whether a URL is HTTPS, with the default port, on this domain or a subdomain."""
    named = _HTTPS.match(url)
    return named is not None and f".{named['host'].lower()}".endswith(f".{domain}")


def build_default_transport() -> AsyncHttpTransport[HttpRequest, AsyncHttpResponse]:
    """Return a transport with certificates from the environment.

    `RequestHead` sets the proxy. Importing aiohttp takes 80 ms, so it is imported here.
    """
    from azure.core.pipeline.transport import AioHttpTransport

    return PlainTransport(
        AioHttpTransport(connection_timeout=10, read_timeout=_CALL_SECONDS, use_env_settings=False)
    )


def parse_object(service: HttpService, answer: ServiceResponse) -> Mapping[str, object]:
    """Return the JSON object in a response.

    Raises `ServiceUnavailable` if there is none, and `InvalidInput` if it is nested too deeply,
    because a retry would not help.
    """
    try:
        document = parse_json_value(answer.body.decode(json.detect_encoding(answer.body)))
    except JsonTooDeep as err:
        raise InvalidInput(f"{service.name}: {err}") from None
    except ValueError:
        raise ServiceUnavailable(f"{service.name}: the response is not JSON") from None
    if not isinstance(document, dict):
        raise ServiceUnavailable(f"{service.name}: the response is not a JSON object")
    return cast("Mapping[str, object]", document)

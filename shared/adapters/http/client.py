"""HTTP to the platform: one azure-core transport, and one pipeline per service.

A service is an audience with a credential and a budget. Calls honour `HTTPS_PROXY` and
`SSL_CERT_FILE`. A read is tried twice, quickly; a write once, because every message is delivered
again anyway and each step looks before it acts. A call ends within 20 seconds. A refusal for being
too many comes back as `ThrottledError` at once, save between the pages of one list, which would
otherwise never end; a read of a delivery waits for its budget before that.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.policies import AsyncHTTPPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.adapters.http.errors import FailedResponse, error_of
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
from shared.adapters.http.transport import IS_PLAIN, PlainTransport
from shared.domain.definitions.json_values import JsonTooDeep, decoded
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    InvalidInput,
    ServiceUnavailable,
    ThrottledError,
    TokenRejected,
)

_CALL_SECONDS = 20.0
#: How long the pages of one list may wait for a budget, all together.
_PATIENCE = timedelta(minutes=4)
_USER_AGENT = "cmk-flow-remediation"
_ENVIRONMENT = re.compile(r"/environments/([^/]+)", re.IGNORECASE)
#: No user, no other port, and nothing that two parsers could read as two hosts.
_HTTPS = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?::443)?(?:[/?]|$)", re.IGNORECASE)
_UNTOLD_WAIT = timedelta(seconds=10)  # where a refusal names no time

type _Policy = AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse] | SansIOHTTPPolicy[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """One service as the adapters call it."""

    #: For people and for counting: `Flow service`.
    name: str
    #: `https://service.flow.microsoft.com//.default`.
    scope: str
    #: None: calls carry no token, as those to a signed address.
    credential: AsyncTokenCredential | None
    budget: RequestLimiter | None = None
    #: Where its lists may go on, beside the host that was asked: these hosts and those below them.
    domains: tuple[str, ...] = ()
    #: What else may become of its calls.
    policies: tuple[type[_Policy], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """One request."""

    method: str
    url: str
    #: Added to the URL's query.
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Sent as JSON; None: no body.
    body: object = None
    #: Sent as it is, in place of JSON.
    content: bytes | None = field(default=None, repr=False)
    #: Whether a second try inside the call is harmless; None: if it is a GET.
    is_repeatable: bool | None = None
    #: Bytes of the answer that are read, the rest is not; None: all of it.
    longest_answer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResponse:
    """An answer below 400. Its body may hold a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class HttpClient:
    """Sends calls to services; shared by all adapters of a process."""

    def __init__(
        self,
        transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse],
        circuits: CircuitBreakerGate | None = None,
    ) -> None:
        """Use `transport`, which this object closes; without circuits every call is made."""
        self._transport = transport
        self._circuits = circuits or NoCircuitBreakerGate()
        self._pipelines: dict[HttpService, AsyncPipeline[HttpRequest, AsyncHttpResponse]] = {}
        #: Requests that went out, by service.
        self.calls: Counter[str] = Counter()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def without_circuits(self) -> "HttpClient":
        """Return a client on the same connections that makes every call."""
        return HttpClient(self._transport)

    async def send(self, service: HttpService, call: ServiceRequest) -> ServiceResponse:
        """Make a call; raises what errors.py says, `ServiceUnavailable` if there is no answer.

        A redirection is followed by nobody: what was sent has not been taken.
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
        # A write does not wait: it was looked at whether it may be made now.
        budget = service.budget if repeatable else None
        while True:
            if budget is not None:
                await budget.wait_for()
            try:
                return await self._sent(service, call, request, is_repeatable=repeatable)
            except NotTaken:  # others, side by side, were faster
                if budget is None or not budget.is_waited_for:
                    raise

    async def _sent(
        self,
        service: HttpService,
        call: ServiceRequest,
        request: HttpRequest,
        *,
        is_repeatable: bool,
    ) -> ServiceResponse:
        is_cut = call.longest_answer is not None
        options = {IS_REPEATABLE: is_repeatable, IS_PLAIN: not is_cut}
        pipeline = self._pipeline(service)
        # As `calling` does, without its generator, which takes as long as the pipeline.
        async with self._circuit_breaker(service, call.url):
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    ran = await pipeline.run(request, stream=is_cut, **options)
                    response = ran.http_response
                    body = await _beginning(response, call.longest_answer)
                    if response.status_code >= 300:
                        raise await self._error_of(service, response, body)
            except (TimeoutError, AzureError) as err:
                raise await self._meaning(service, err) from None
        return ServiceResponse(status=response.status_code, headers=response.headers, body=body)

    @asynccontextmanager
    async def calling(
        self, service: HttpService, url: str
    ) -> AsyncGenerator[AsyncPipeline[HttpRequest, AsyncHttpResponse]]:
        """Give the service's pipeline for one call, within its time, and translate what it raises.

        An SDK's client that runs on this pipeline thus raises what `send` raises. Without a call,
        raises `ServiceOutage` while the service is.
        """
        async with self._circuit_breaker(service, url):
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    yield self._pipeline(service)
            except (TimeoutError, AzureError) as err:
                raise await self._meaning(service, err) from None

    def _circuit_breaker(self, service: HttpService, url: str) -> AbstractAsyncContextManager[None]:
        parts = urlsplit(url)
        found = _ENVIRONMENT.search(parts.path)
        place = found[1].lower() if found else parts.hostname or ""
        return self._circuits.calling(service.name, place, parts.path)

    async def _meaning(self, service: HttpService, err: TimeoutError | AzureError) -> CmkflowError:
        """Return what it means that a call ended without an answer to read."""
        match err:
            case TimeoutError():
                return ServiceUnavailable(f"{service.name}: no answer in time")
            case HttpResponseError():
                return await self._refused(service, err)
            case AzureError():  # no connection, or none that lasted; its text names the host
                return ServiceUnavailable(redact(f"{service.name}: {err.message}"))

    async def _refused(self, service: HttpService, err: HttpResponseError) -> CmkflowError:
        """Return what an error of an SDK's client, or of a credential, means."""
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
            return await self._error_of(service, response, response.content)
        return ServiceUnavailable(redact(f"{service.name}: {err.message}"))

    async def items(
        self,
        service: HttpService,
        call: ServiceRequest,
        *,
        member: str = "value",
        link: str = "nextLink",
    ) -> AsyncGenerator[object]:
        """Yield the items of a paged list; `member` holds them, `link` the next page's URL.

        After the first page a budget that is used up is waited for, up to four minutes in all.
        """
        waited = timedelta(0)
        is_first = True
        while True:
            try:
                items, following = await self.page(service, call, member=member, link=link)
            except ThrottledError as err:
                wait = err.retry_after or _UNTOLD_WAIT
                waited += wait
                if is_first or waited > _PATIENCE:
                    raise
                await self._transport.sleep(wait.total_seconds())
                continue
            for item in items:
                yield item
            if not following:
                return
            call = replace(call, url=following, params={})
            is_first = False

    async def page(
        self,
        service: HttpService,
        call: ServiceRequest,
        *,
        member: str = "value",
        link: str = "nextLink",
    ) -> tuple[list[object], str]:
        """Return the items of one page of a list, and the next page's URL; empty: there is none."""
        document = read_object(service, await self.send(service, call))
        items, following = page_of(service, document, member=member, link=link)
        if following:
            check_next(service, call.url, following)
        return items, following

    async def _error_of(
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
        return await self.refusal(service, failed)

    async def refusal(self, service: HttpService, failed: FailedResponse) -> CmkflowError:
        """Return what an answer of 400 and above means; a wait it asks for counts for everybody."""
        error = error_of(failed)
        if isinstance(error, ThrottledError) and service.budget is not None:
            await service.budget.refused(error.retry_after or _UNTOLD_WAIT)
        return error

    def _pipeline(self, service: HttpService) -> AsyncPipeline[HttpRequest, AsyncHttpResponse]:
        if service not in self._pipelines:
            policies: list[_Policy] = [
                RequestHead(_USER_AGENT),
                RetryOnce(self._transport.sleep),
                *(policy() for policy in service.policies),
                RequestCounting(service.name, service.budget, self.calls),
            ]
            if service.credential:
                policies.insert(-1, TokenRenewal(service.credential, service.scope))
            self._pipelines[service] = AsyncPipeline(self._transport, policies=policies)
        return self._pipelines[service]


async def _beginning(response: AsyncHttpResponse, longest: int | None) -> bytes:
    """Return the answer's body, or so many bytes of it without reading the rest."""
    if longest is None:
        return response.content
    body = b""
    try:
        async for part in response.iter_raw():
            body += part
            if len(body) >= longest:
                break
    finally:
        await response.close()
    return body[:longest]


def page_of(
    service: HttpService, document: Mapping[str, object], *, member: str, link: str
) -> tuple[list[object], str]:
    """Return the items of a page, and the next one's URL, which nobody has checked yet."""
    items, following = document.get(member), document.get(link)
    if not isinstance(items, list):
        raise ServiceUnavailable(f"{service.name}: the answer holds no list")
    return items, following if isinstance(following, str) else ""


def check_next(service: HttpService, url: str, following: str) -> None:
    """Raise `ServiceUnavailable` for a link that leads elsewhere or nowhere.

    A next page may lie on another host of the service: regional ones, or Resource Manager's, as
    recorded answers of Power Apps show. On no other: the access token goes with the call, and
    below Microsoft's domains anybody can have a host (`*.cloudapp.azure.com`).
    """
    asked = urlsplit(url).hostname or ""
    if following == url or not any(is_within(following, one) for one in (asked, *service.domains)):
        raise ServiceUnavailable(f"{service.name}: the list does not go on where it should")


def is_within(url: str, domain: str) -> bool:
    """Say whether a URL is https, on the usual port, to this host or one below it."""
    named = _HTTPS.match(url)
    return named is not None and f".{named['host'].lower()}".endswith(f".{domain}")


def default_transport() -> AsyncHttpTransport[HttpRequest, AsyncHttpResponse]:
    """Return a transport that takes certificates from the environment; `RequestHead` the proxy.

    It imports aiohttp, which costs 80 ms, when the first transport is made.
    """
    from azure.core.pipeline.transport import AioHttpTransport

    return PlainTransport(
        AioHttpTransport(connection_timeout=10, read_timeout=_CALL_SECONDS, use_env_settings=False)
    )


def read_object(service: HttpService, answer: ServiceResponse) -> Mapping[str, object]:
    """Return the JSON object of an answer; raises `ServiceUnavailable` if it is none.

    What nests too deep does so tomorrow: `InvalidInput`.
    """
    try:
        document = decoded(answer.body.decode(json.detect_encoding(answer.body)))
    except JsonTooDeep as err:
        raise InvalidInput(f"{service.name}: {err}") from None
    except ValueError:
        raise ServiceUnavailable(f"{service.name}: the answer is no JSON") from None
    if not isinstance(document, dict):
        raise ServiceUnavailable(f"{service.name}: the answer is no JSON object")
    return cast("Mapping[str, object]", document)

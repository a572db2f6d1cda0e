"""Pipeline policies: request budget and count, access token, retry."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.errors import ThrottledError
from shared.logs.fields import get_product_log
from shared.request_count import count_request

_log = get_product_log(__name__)

#: Name of the pipeline option for whether a retry is harmless; by default a GET is.
IS_REPEATABLE = "is_repeatable"
_PAUSE_SECONDS = 0.5
_READS = frozenset({"GET", "HEAD"})
_RETRIED = frozenset({500, 502, 503, 504})

type _Request = PipelineRequest[HttpRequest]
type _Response = PipelineResponse[HttpRequest, AsyncHttpResponse]


class RequestLimiter(Protocol):
    """A request budget, as the HTTP client uses it."""

    @property
    def is_in_invocation(self) -> bool:
        """Return whether an invocation runs now. Only then does `wait_for_requests` wait."""

    async def wait_for_requests(self, count: int = 1) -> None:
        """Wait until the budget allows this many requests. Outside an invocation, do not wait.

        Raises `ThrottledError` if the wait would take minutes.
        """

    async def take(self, *, is_write: bool = False) -> None:
        """Take one request from the budget. Raises `ThrottledError` if none is left now."""

    async def slow_down(self, wait: timedelta) -> None:
        """Pause for `wait` and lower the rate, because the service throttled a request."""


class CircuitBreakerGate(Protocol):
    """The circuit breakers, which stop requests to a failing service."""

    def guard_request(
        self, service: str, place: str, target: str
    ) -> AbstractAsyncContextManager[None]:
        """Return a context manager for one request.

        It raises `ServiceOutage` while the circuit breaker is open.
        """


class NotTaken(ThrottledError):
    """The request was not sent, because the budget had no request left."""


class NoCircuitBreakerGate:
    """A gate that lets every request pass."""

    def guard_request(
        self,
        service: str,  # noqa: ARG002
        place: str,  # noqa: ARG002
        target: str,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()


def find_proxies(host: str) -> dict[str, str]:
    """Return the proxy for a host in azure-core's format, or nothing if there is no proxy."""
    proxy = getproxies().get("https")
    return {"https": proxy} if proxy and not proxy_bypass(host) else {}


class RequestHead(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Sets user agent, request id and proxy of each request.

    One policy for all three is faster than three of azure-core's. The random request id is for
    Microsoft support. The proxy is the value of `HTTPS_PROXY` at a host's first request, unless
    `NO_PROXY` contains the host.
    """

    def __init__(self, user_agent: str) -> None:
        super().__init__()
        self._user_agent = user_agent
        self._proxies: dict[str, dict[str, str]] = {}

    async def send(self, request: _Request) -> _Response:
        http_request = request.http_request
        http_request.headers["x-ms-client-request-id"] = str(uuid4())
        http_request.headers["User-Agent"] = self._user_agent
        host = urlsplit(http_request.url).hostname or ""
        if host not in self._proxies:
            self._proxies[host] = find_proxies(host)
        request.context.options["proxies"] = self._proxies[host]
        return await self.next.send(request)


class RetryOnce(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Retries a request once after a fault, if that is harmless.

    Never retries 429: the request budget decides when to continue.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__()
        self._sleep = sleep

    async def send(self, request: _Request) -> _Response:
        is_read = request.http_request.method == "GET"
        is_repeatable = bool(request.context.options.pop(IS_REPEATABLE, is_read))
        try:
            response = await self.next.send(request)
        except (ServiceRequestError, ServiceResponseError) as err:
            if not is_repeatable:
                raise
            why = type(err).__name__
        else:
            status = response.http_response.status_code
            if not is_repeatable or status not in _RETRIED:
                return response
            why = str(status)
        host = urlsplit(request.http_request.url).hostname
        _log.warning("request retried", extra={"host": host, "why": why})
        await self._sleep(_PAUSE_SECONDS)
        return await self.next.send(request)


class TokenRenewal(AsyncBearerTokenCredentialPolicy[HttpRequest, AsyncHttpResponse]):
    """Adds an access token to a request, and renews the token if the service rejects it.

    Credentials cache tokens, even revoked ones, until shortly before they expire; a request for a
    token with claims bypasses the cache. After a rejected token nothing was changed, so a write is
    safe to retry.
    """

    async def send(self, request: _Request) -> _Response:
        """Send the request, and retry it if the service rejects the token.

        The first retry uses the claims that the service asks for, if any; the next one uses a new
        token.
        """
        await self.on_request(request)
        response = await self.next.send(request)
        if response.http_response.status_code != 401:
            return response
        self._token = None
        if "WWW-Authenticate" in response.http_response.headers and await self.on_challenge(
            request, response
        ):
            response = await self.next.send(request)
            if response.http_response.status_code != 401:
                return response
        await self.authorize_request(request, *self._scopes, claims="{}")
        return await self.next.send(request)


class RequestCounting(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Takes each request from the service's budget and counts it."""

    def __init__(self, name: str, budget: RequestLimiter | None, calls: Counter[str]) -> None:
        """Count requests under `name` in `calls`. Without a budget, all requests are sent."""
        super().__init__()
        self._name = name
        self._budget = budget
        self._calls = calls

    async def send(self, request: _Request) -> _Response:
        """Send the request. Raises `NotTaken` if the budget has no request left."""
        if self._budget is not None:
            is_write = request.http_request.method not in _READS
            try:
                await self._budget.take(is_write=is_write)
            except ThrottledError as err:
                raise NotTaken(*err.args, retry_after=err.retry_after) from None
        self._calls[self._name] += 1
        count_request()
        return await self.next.send(request)

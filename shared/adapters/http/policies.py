"""What happens to each request on its way out: budget and count, token, second try."""

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
from shared.log_fields import product_log
from shared.request_count import count_call

_log = product_log(__name__)

#: Name of the pipeline option that says whether a second try is harmless; by default a GET is.
IS_REPEATABLE = "is_repeatable"
_PAUSE_SECONDS = 0.5
_READS = frozenset({"GET", "HEAD"})
_RETRIED = frozenset({500, 502, 503, 504})

type _Request = PipelineRequest[HttpRequest]
type _Response = PipelineResponse[HttpRequest, AsyncHttpResponse]


class RequestLimiter(Protocol):
    """Says whether one more call may be made."""

    @property
    def is_waited_for(self) -> bool:
        """Say whether `ready` waits: it does in a delivery."""

    async def wait_for(self, calls: int = 1) -> None:
        """Wait for calls where a delivery may wait; raises `ThrottledError` if that takes
        minutes.
        """

    async def take(self, *, is_write: bool = False) -> None:
        """Take one call; raises `ThrottledError` when there is none left now."""

    async def refused(self, wait: timedelta) -> None:
        """Let nobody call for a while, and fewer after it: the service has refused a call."""


class CircuitBreakerGate(Protocol):
    """Says whether a service is worth calling now."""

    def calling(self, service: str, place: str, target: str) -> AbstractAsyncContextManager[None]:
        """Make one call inside; raises `ServiceOutage` instead while the service is out."""


class NotTaken(ThrottledError):
    """The budget has no call left for a request, which was not sent."""


class NoCircuitBreakerGate:
    """Lets every call be made."""

    def calling(self, service: str, place: str, target: str) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Make one call inside."""
        return nullcontext()


def proxies_to(host: str) -> dict[str, str]:
    """Return the proxy of calls to a host as azure-core takes it; empty: there is none."""
    proxy = getproxies().get("https")
    return {"https": proxy} if proxy and not proxy_bypass(host) else {}


class RequestHead(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Names the app and the call, and leads it by the machine's proxy.

    The call is named by a random id, for Microsoft's support: azure-core's policy makes one of the
    machine's clock and address, which is five times the work. The proxy is `HTTPS_PROXY` as it
    stands at a host's first call, unless `NO_PROXY` has the host: aiohttp would read the
    environment and a netrc file before each call, each in a thread. One policy for all three takes
    less than three of azure-core's kind, which it looks at for coroutines each time.
    """

    def __init__(self, user_agent: str) -> None:
        """Know no host yet."""
        super().__init__()
        self._user_agent = user_agent
        self._proxies: dict[str, dict[str, str]] = {}

    async def send(self, request: _Request) -> _Response:
        """Send the request on."""
        http_request = request.http_request
        http_request.headers["x-ms-client-request-id"] = str(uuid4())
        http_request.headers["User-Agent"] = self._user_agent
        host = urlsplit(http_request.url).hostname or ""
        if host not in self._proxies:
            self._proxies[host] = proxies_to(host)
        request.context.options["proxies"] = self._proxies[host]
        return await self.next.send(request)


class RetryOnce(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Makes a call once more after a fault, if that is harmless.

    429 is never tried again here: the budget of calls decides when.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Pause by `sleep`, in seconds."""
        super().__init__()
        self._sleep = sleep

    async def send(self, request: _Request) -> _Response:
        """Send the request on, once or twice."""
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
    """Gives a call its access token, and a new one where that is refused.

    Credentials keep tokens until shortly before they expire and give the same one again, revoked
    or not. Asked with claims they go past what they keep, as after a claims challenge. A refused
    token means that nothing was done, so even a write is sent again.
    """

    async def send(self, request: _Request) -> _Response:
        """Send the request on, once or twice, and once more where the service names claims."""
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
        """Count under the service's `name` in `calls`; without a budget each call may go."""
        super().__init__()
        self._name = name
        self._budget = budget
        self._calls = calls

    async def send(self, request: _Request) -> _Response:
        """Send the request on if the budget allows; raises `NotTaken`."""
        if self._budget is not None:
            is_write = request.http_request.method not in _READS
            try:
                await self._budget.take(is_write=is_write)
            except ThrottledError as err:
                raise NotTaken(*err.args, retry_after=err.retry_after) from None
        self._calls[self._name] += 1
        count_call()
        return await self.next.send(request)

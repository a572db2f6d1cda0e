"""Send requests with azure-core's aiohttp transport, and return simpler responses.

azure-core's response can be streamed, copied and read by three versions of its interface.
`HttpClient` needs only status, headers and body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from azure.core.exceptions import (
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from azure.core.pipeline.transport import AioHttpTransport

#: Name of the pipeline option for a `PlainResponse`.
IS_PLAIN = "is_plain"
_CONNECT_SECONDS = 10.0
#: For requests without a body, to which aiohttp would add a content type.
_NO_TYPE = ("Content-Type",)


@dataclass(frozen=True, slots=True)
class PlainResponse:
    """A response with its complete body."""

    request: HttpRequest
    status_code: int
    headers: Mapping[str, str]
    content: bytes


class PlainTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """A transport that returns a `PlainResponse` to requests with the option `is_plain`."""

    def __init__(self, transport: "AioHttpTransport") -> None:
        """Take ownership of `transport`, which also serves SDK clients."""
        import aiohttp

        self._aiohttp = aiohttp
        self._transport = transport
        # The response needs no timeout here: the request has one (client.py).
        self._timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS)

    async def send(self, request: HttpRequest, *, is_plain: bool = False, **options: Any) -> Any:
        """Send a request and return its response. Raises the errors of azure-core's transport."""
        if not is_plain:
            return await self._transport.send(request, **options)
        aiohttp = self._aiohttp
        await self._transport.open()
        session = cast("ClientSession", self._transport.session)
        try:
            async with session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.content,
                timeout=self._timeout,
                allow_redirects=False,
                auto_decompress=True,
                proxy=options.get("proxies", {}).get("https"),
                skip_auto_headers=() if request.content else _NO_TYPE,
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientResponseError as err:
            raise ServiceResponseError(err, error=err) from err
        except aiohttp.ConnectionTimeoutError as err:
            raise ServiceRequestTimeoutError(err, error=err) from err
        except TimeoutError as err:
            raise ServiceResponseTimeoutError(err, error=err) from err
        except aiohttp.ClientError as err:
            raise ServiceRequestError(err, error=err) from err
        return PlainResponse(request, answer.status, answer.headers, content)

    async def open(self) -> None:
        """Open the connections."""
        await self._transport.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

"""Send the app's requests to a local tenant in this process, without a network."""

import json
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from multidict import CIMultiDict
from starlette.types import ASGIApp, Message

from local_cloud.tenant.core.clock import SimulatedClock


class DirectResponse:
    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.status_code = 0
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.content = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status_code = message["status"]
            self.headers.extend((n.decode(), v.decode()) for n, v in message["headers"])
        else:
            self.content += message.get("body", b"")

    def json(self) -> Any:
        return json.loads(self.content)

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or "utf-8")

    def body(self) -> bytes:
        return self.content


class DirectTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """A transport of azure-core that passes each request to an ASGI application.

    A sleep advances the simulated clock.
    """

    def __init__(self, application: ASGIApp, clock: SimulatedClock) -> None:
        self._application = application
        self._clock = clock

    async def send(self, request: HttpRequest, **_: Any) -> Any:
        url = urlsplit(request.url)
        content = request.content or b""
        body = content.encode() if isinstance(content, str) else content
        response = DirectResponse(request)
        headers = {"Host": url.netloc, **request.headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https",
            "path": unquote(url.path),
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": (url.hostname, 443),
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._application(scope, receive, response.take)
        return response

    async def sleep(self, duration: float) -> None:
        """Advance the simulated clock by this number of seconds."""
        self._clock.advance(duration)

    async def open(self) -> None:
        pass

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

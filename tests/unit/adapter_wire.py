"""A transport for azure-core with scripted responses, so that tests of adapters use the real
pipeline.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


class ScriptedResponse:
    """The members of an azure-core response that its pipeline uses."""

    def __init__(self, request: HttpRequest, answer: Scripted) -> None:
        self.request = request
        self.status_code = answer.status
        self.headers = answer.headers
        self.content = answer.content

    async def iter_raw(self) -> AsyncIterator[bytes]:
        yield self.content

    async def close(self) -> None: ...


class ScriptedTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """A transport that returns scripted responses in order, and raises those that are
    exceptions.
    """

    def __init__(self, *answers: Scripted | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []
        #: The URL of each request when it was sent, because a pipeline policy may change it later.
        self.hosts: list[str] = []
        self.slept: list[float] = []

    async def send(self, request: HttpRequest, **_: Any) -> Any:
        self.requests.append(request)
        self.hosts.append(urlsplit(request.url).hostname or "")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return ScriptedResponse(request, answer)

    async def sleep(self, duration: float) -> None:
        """Record the pause and return at once."""
        self.slept.append(duration)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class FixedEndpoint:
    def __init__(self, url: str = "https://emea.api.flow.microsoft.com") -> None:
        self.url = url

    async def read_flow_endpoint(self, environment_id: str) -> str:
        return self.url


class NumberedCredential:
    """A credential that returns a new token each time: `token-1`, `token-2`, …"""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked += scopes
        return AccessToken(f"token-{len(self.asked)}", 4_000_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

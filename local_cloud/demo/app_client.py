"""Call the app's HTTP API like an administrator's script, with retries while the app restarts."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from local_cloud.stack import AppAddress

type Json = dict[str, Any]

#: How long a call is repeated while the app cannot be reached.
_PATIENCE = 90.0
_PAUSE = 0.5
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LATER = frozenset({429, 502, 503, 504})
#: Header of a temporary rejection, such as one for the lease of a process that was killed.
_RETRY_AFTER = "Retry-After"


class AppRefusal(Exception):
    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title')}")
        self.status = status
        self.problem = problem


class App:
    """A client of the app's HTTP API.

    It asks `address` for the app's current URL before each attempt.
    """

    def __init__(self, session: aiohttp.ClientSession, address: Callable[[], AppAddress]) -> None:
        self._session = session
        self._address = address

    async def get(self, path: str, **query: str) -> Json:
        """Send GET and return the document.

        Raises `AppRefusal` if the app rejects the request, and `TimeoutError` if it does not answer
        for too long.
        """
        return await self._call_api("GET", path, query=query)

    async def put(self, path: str, body: Json) -> Json:
        return await self._call_api("PUT", path, body=body)

    async def post(self, path: str, body: Json, *, key: str = "") -> Json:
        """Send POST and return the document. Raises the same errors as `get`.

        A repeated request with the same `key` has no further effect.
        """
        headers = {"Idempotency-Key": key} if key else {}
        return await self._call_api("POST", path, body=body, headers=headers)

    async def _call_api(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        async with asyncio.timeout(_PATIENCE):
            while True:
                address = self._address()
                try:
                    async with self._session.request(
                        method,
                        f"{address.url}/api/{path}",
                        json=body,
                        params=query,
                        headers={"x-functions-key": address.key, **(headers or {})},
                        timeout=_TIMEOUT,
                    ) as answer:
                        if answer.status not in _LATER and _RETRY_AFTER not in answer.headers:
                            return await _read_document(answer)
                except aiohttp.ClientConnectionError:
                    pass  # it is being restarted: the address may be another one by then
                await asyncio.sleep(_PAUSE)


async def _read_document(answer: aiohttp.ClientResponse) -> Json:
    text = await answer.read()
    document: Json = await answer.json(content_type=None) if text else {}
    if answer.status >= 400:
        raise AppRefusal(answer.status, document)
    return document

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from shared.adapters.http.transport import PlainResponse, PlainTransport

type Answer = Callable[[bytes], bytes]


@asynccontextmanager
async def _run_server(answer: Answer) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(head))
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


async def _send_request(answer: Answer, **of_request: Any) -> PlainResponse:
    async with (
        _run_server(answer) as url,
        PlainTransport(AioHttpTransport(use_env_settings=False)) as transport,
    ):
        response: PlainResponse = await transport.send(
            HttpRequest("POST", url, **of_request), is_plain=True, proxies={}
        )
        return response


def _build_answer(
    body: bytes, *headers: str, status: str = "200 OK", length: int | None = None
) -> bytes:
    size = len(body) if length is None else length
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode() + body


async def test_gzip_body_is_decompressed() -> None:
    packed = gzip.compress(b'{"n": 1}')

    response = await _send_request(lambda _: _build_answer(packed, "Content-Encoding: gzip"))

    assert (response.status_code, response.content) == (200, b'{"n": 1}')


async def test_error_status_and_redirection_are_returned() -> None:
    throttled = await _send_request(
        lambda _: _build_answer(b"no", "Retry-After: 7", status="429 Slow down")
    )
    led = await _send_request(
        lambda _: _build_answer(b"", "Location: http://127.0.0.1:1/", status="302 Found")
    )

    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "7")
    assert led.status_code == 302


async def test_request_without_a_body_has_no_content_type() -> None:
    """aiohttp would add a content type."""
    heads: list[bytes] = []

    def record(head: bytes) -> bytes:
        heads.append(head.lower())
        return _build_answer(b"")

    await _send_request(record)
    await _send_request(record, json={"a": 1})

    assert [b"content-type" in head for head in heads] == [False, True]


@pytest.mark.parametrize("answer", [b"", _build_answer(b"half", length=400)])
async def test_incomplete_answer_raises_service_request_error(answer: bytes) -> None:
    with pytest.raises(ServiceRequestError):
        await _send_request(lambda _: answer)

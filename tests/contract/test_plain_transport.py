"""Test the short transport: what it sends and returns, and its errors without an answer."""

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
    """Yield the address of a server that computes each answer's bytes from its request's bytes."""

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


def _answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode() + body


async def test_a_packed_body_is_unpacked() -> None:
    packed = gzip.compress(b'{"n": 1}')

    response = await _send_request(lambda _: _answer(packed, "Content-Encoding: gzip"))

    assert (response.status_code, response.content) == (200, b'{"n": 1}')


async def test_an_error_status_and_a_redirection_are_answers() -> None:
    throttled = await _send_request(
        lambda _: _answer(b"no", "Retry-After: 7", status="429 Slow down")
    )
    led = await _send_request(
        lambda _: _answer(b"", "Location: http://127.0.0.1:1/", status="302 Found")
    )

    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "7")
    assert led.status_code == 302


async def test_a_request_without_a_body_names_no_type() -> None:
    """aiohttp would add a content type; azure-core sends none."""
    heads: list[bytes] = []

    def record(head: bytes) -> bytes:
        heads.append(head.lower())
        return _answer(b"")

    await _send_request(record)
    await _send_request(record, json={"a": 1})

    assert [b"content-type" in head for head in heads] == [False, True]


@pytest.mark.parametrize("answer", [b"", _answer(b"half", length=400)])
async def test_an_answer_that_breaks_off_raises_the_error_of_azure_core(answer: bytes) -> None:
    with pytest.raises(ServiceRequestError):
        await _send_request(lambda _: answer)

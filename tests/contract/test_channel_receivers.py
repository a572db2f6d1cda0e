"""Test receivers of notifications that send long answers, slow ones or none, over real
connections.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web

from shared.adapters.channels.event import LONGEST_ANSWER
from shared.adapters.channels.webhook import SignedWebhook
from shared.adapters.http import client
from shared.adapters.http.client import HttpClient, HttpService, build_default_transport
from shared.errors import CmkflowError, ServiceUnavailable
from tests.unit.test_adapters_channels import KEY, NOTIFICATION

MEGABYTE = b"x" * 1_000_000
#: What a system keeps between sender and receiver at most, and the first part of an answer.
BUFFERS = 40_000_000


class Receiver:
    """A webhook receiver. The path of a request decides the status of the answer, and whether the
    answer is long, slow or never complete.
    """

    def __init__(self) -> None:
        self.url = ""
        #: Bytes of answers that were written.
        self.written = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        _, status, way = request.path.split("/")
        response = web.StreamResponse(status=int(status))
        await response.prepare(request)
        while way == "long" and self.written < 300 * len(MEGABYTE):
            await response.write(MEGABYTE)
            self.written += len(MEGABYTE)
        while way == "slow":
            await response.write(b"x")
            await asyncio.sleep(0.02)
        while way == "never" and request.transport:  # noqa: ASYNC110  # until the sender hangs up
            await asyncio.sleep(0.02)
        return response


@asynccontextmanager
async def run_receiver() -> AsyncIterator[tuple[Receiver, SignedWebhook]]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/{status}/{way}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    http = HttpClient(build_default_transport())
    try:
        service = HttpService(name="Webhook", scope="", credential=None)
        yield receiver, SignedWebhook(http, service, receiver.url, KEY)
    finally:
        await http.close()
        await runner.cleanup()


async def send_notification(channel: SignedWebhook, url: str) -> None:
    http, service = channel._http, channel._service
    fresh = replace(NOTIFICATION, created_at=datetime.now(UTC))
    await SignedWebhook(http, service, url, KEY).send(fresh)


@pytest.fixture(autouse=True)
def _bypass_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests to this machine bypass the proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_long_answer_is_not_read_to_its_end() -> None:
    async with run_receiver() as (receiver, channel):
        await send_notification(channel, f"{receiver.url}/200/long")

        assert LONGEST_ANSWER < receiver.written < BUFFERS


async def test_only_the_beginning_of_a_long_rejection_is_read() -> None:
    async with run_receiver() as (receiver, channel):
        with pytest.raises(CmkflowError, match="Webhook"):
            await send_notification(channel, f"{receiver.url}/400/long")

        assert receiver.written < BUFFERS


@pytest.mark.parametrize("way", ["slow", "never"])
async def test_slow_receiver_causes_a_timeout(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that sends single bytes does not extend the time limit."""
    monkeypatch.setattr(client, "_CALL_SECONDS", 0.3)
    async with run_receiver() as (receiver, channel):
        with pytest.raises(ServiceUnavailable, match=r"^Webhook: timeout of 127\.0\.0\.1$"):
            await send_notification(channel, f"{receiver.url}/200/{way}")

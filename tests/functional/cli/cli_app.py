"""Serve the app's HTTP functions on a real port, for tests of the command line."""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner, Result

from cmkflow.__main__ import app as command_line
from function_app import app
from tests.fakes.driver import Driver

KEY = "the-function-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Runs `cmkflow` commands against the app at this address, with this function key."""

    url: str
    key: str = KEY

    async def run(self, *arguments: str, key: str | None = None, answer: str = "") -> Result:
        """Run `cmkflow`, with `answer` as the input for its questions."""
        env = {
            "CMKFLOW_API": self.url,
            "CMKFLOW_KEY": self.key if key is None else key,
            "CMKFLOW_BY": "admin@contoso.example",
            "COLUMNS": "400",
            # A folder that cannot exist: profiles and sign-ins of this machine do not count.
            "XDG_CONFIG_HOME": os.devnull,
        }
        # The command blocks, and the app answers in this loop.
        return await asyncio.to_thread(
            lambda: CliRunner().invoke(command_line, list(arguments), env=env, input=answer)
        )


@asynccontextmanager
async def serve_app() -> AsyncIterator[CommandLine]:
    routes = web.Application()
    for one in _load_functions():
        trigger = one.get_trigger()
        if trigger.get_binding_name() == "httpTrigger":
            handler = _build_handler(one.get_user_function())
            for method in trigger.methods:
                path = trigger.route.replace("{*path}", "{path:.*}")  # aiohttp's catch-all
                routes.router.add_route(method.value, f"/api/{path}", handler)
    async with TestServer(routes) as server:
        yield CommandLine(url=str(server.make_url("")))


@asynccontextmanager
async def deliver_messages(driver: Driver) -> AsyncIterator[None]:
    """Handle the messages in the app's queues, as the host does, while a command waits."""

    async def deliver() -> None:
        while True:
            await driver.run(driver.fakes.world.clock.now())
            await asyncio.sleep(0.01)

    working = asyncio.create_task(deliver())
    try:
        yield
    finally:
        working.cancel()


@functools.cache
def _load_functions() -> tuple[Any, ...]:
    """Return the app's functions. They are cached, because the app returns them only once."""
    return tuple(app.get_functions())


def _build_handler(
    function: Callable[..., Awaitable[func.HttpResponse]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("x-functions-key") != KEY:
            return web.Response(status=401)
        reply: Any = await function(
            func.HttpRequest(
                request.method,
                str(request.url),
                headers=dict(request.headers),
                params=dict(request.query),
                route_params=dict(request.match_info),
                body=await request.read(),
            )
        )
        return web.Response(
            status=reply.status_code,
            body=reply.get_body(),
            content_type=reply.mimetype,
            headers=dict(reply.headers),
        )

    return handle

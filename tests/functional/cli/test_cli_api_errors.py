import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.functional.cli.cli_app import CommandLine


async def test_wrong_function_key_is_reported(cli: CommandLine) -> None:
    result = await cli.run("health", key="wrong")

    assert result.exit_code == 4
    assert "CMKFLOW_KEY" in result.stderr


@pytest.mark.parametrize(
    ("url", "said", "code"),
    [
        ("http://127.0.0.1:9", "Cannot connect to", 5),
        ("app.example", "is not a valid URL", 2),
        ("", "No app is set. Sign in: cmkflow login https://", 2),
        ("file:///etc/hosts", "is not a valid URL", 2),
    ],
)
async def test_unavailable_app_is_reported_without_the_key(url: str, said: str, code: int) -> None:
    result = await CommandLine(url=url, key="secret-key").run("health")

    assert result.exit_code == code
    assert said in result.stderr
    assert "CMKFLOW_API" in result.stderr
    assert "secret-key" not in result.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web.Response(text="<html>"), "is not JSON"),
        (web.Response(status=404, text="nothing"), "404 Not Found"),
        (web.Response(status=500), "500 Internal Server Error"),
        (web.Response(status=302, headers={"Location": "https://b.example/"}), "b.example"),
    ],
)
async def test_server_that_is_not_the_app_is_reported(answer: web.Response, said: str) -> None:
    """If the command followed a redirect, it would send the function key to another server."""

    async def handle(_: web.Request) -> web.Response:
        return answer

    routes = web.Application()
    routes.router.add_get("/api/health", handle)
    async with TestServer(routes) as server:
        result = await CommandLine(url=str(server.make_url(""))).run("health")

    assert result.exit_code == 1
    assert said in result.stderr

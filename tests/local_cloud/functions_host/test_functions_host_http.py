import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.local_cloud.functions_host.functions_host_process import (
    KEY,
    HostProcess,
    run_host,
    wait_until,
)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[HostProcess]:
    async with run_host(tmp_path) as host:
        yield host


@pytest.fixture
async def client(host: HostProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"{host.url}/api/") as session:
        yield session


async def test_complete_request_reaches_the_function(
    host: HostProcess, client: aiohttp.ClientSession
) -> None:
    path = "echo/a%20b/4?x=1&empty=&many=a&many=b"
    headers = {"x-functions-key": KEY, "X-Demo": "hi"}

    async with client.post(path, data="körper", headers=headers) as response:
        answer = await response.json()

    assert response.status == 201
    assert response.headers["x-answer"] == "yes"
    assert response.cookies["seen"].value == "1"
    assert response.cookies["seen"]["httponly"]
    assert response.cookies["seen"]["samesite"] == "Lax"
    # Empty query values are dropped and repeated ones joined, as by the real host.
    assert answer.pop("url").startswith(f"{host.url}/api/echo/a%20b/4?")
    assert answer == {
        "method": "POST",
        "params": {"x": "1", "many": "a,b"},
        "route": {"kind": "a b", "number": "4"},
        "header": "hi",
        "body": "körper",
    }


async def test_a_string_is_a_plain_text_response(client: aiohttp.ClientSession) -> None:
    async with client.get("open") as response:
        text = await response.text()

    assert (response.status, response.content_type) == (200, "text/plain")
    assert text == "open_to_all sample_app"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing-here", 404),
        ("GET", f"echo/a/not-a-number?code={KEY}", 404),
        ("GET", f"echo/a/1/2?code={KEY}", 404),
        # Azure answers 404, not 405: the method is a constraint of the route.
        ("DELETE", f"echo/a?code={KEY}", 404),
        ("GET", "echo/a", 401),
        ("GET", "echo/a?code=wrong", 401),
        ("GET", f"echo/a?code={KEY}", 201),
        ("GET", "ECHO/a?code=" + KEY, 201),
        ("GET", "none", 500),
        # Azure sends no header that is not ASCII.
        ("GET", "header", 500),
        ("GET", "raise", 500),
    ],
)
async def test_status_of_a_failed_request_is_that_of_azure(
    client: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with client.request(method, path) as response:
        body = await response.read()

    assert response.status == status
    if status != 201:
        assert body == b""


async def test_failed_function_is_logged_with_its_stack(
    host: HostProcess, client: aiohttp.ClientSession
) -> None:
    async with client.get("raise"):
        pass

    [line] = await wait_until(lambda: host.list_log_lines("function failed"))
    assert line["function"] == "raise_error"
    assert line["failure"] == "LookupError: nothing here"
    assert "function_app.py" in line["stack_trace"]


async def test_log_lines_have_the_invocation_id(
    host: HostProcess, client: aiohttp.ClientSession
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}

    async with client.get("log", headers=headers) as response:
        invocation_id, trace_parent = (await response.text()).split()
    async with client.get("open"):
        pass

    [from_async] = await wait_until(lambda: host.list_log_lines("async line"))
    assert from_async["invocation_id"] == invocation_id
    assert from_async["function"] == "log_async"
    [from_sync] = await wait_until(lambda: host.list_log_lines("called GET"))
    assert from_sync["function"] == "open_to_all"
    assert set(from_sync) == {"time", "level", "logger", "message", "invocation_id", "function"}
    # The function works in a new span of the caller's trace.
    assert trace_parent.split("-")[1] == trace_id
    assert trace_parent != headers["traceparent"]


async def test_message_of_a_log_line_contains_the_stack(
    host: HostProcess, client: aiohttp.ClientSession
) -> None:
    """As in Azure, a logged exception is a part of the message."""
    async with client.get("raise"):
        pass

    await wait_until(lambda: host.list_log_lines("function failed"))
    (line,) = [one for one in host.log_lines() if one["message"].startswith("cannot answer")]
    assert line["message"].startswith("cannot answer\nTraceback (most recent call last):\n")
    assert line["message"].endswith("LookupError: nothing here")
    assert (line["level"], line["logger"]) == ("ERROR", "sample")


def test_a_log_line_outside_an_invocation_is_marked_as_dropped(host: HostProcess) -> None:
    """The mark shows developers that Azure would not show the line."""
    [line] = host.list_log_lines("imported")

    assert line["dropped"] is True
    assert "invocation_id" not in line


async def test_running_request_is_completed_at_stop(
    host: HostProcess, client: aiohttp.ClientSession
) -> None:
    request = asyncio.create_task(client.get("slow/1"))
    await wait_until(lambda: host.list_notes("slow"))

    code = await host.stop()

    async with await request as response:
        assert await response.text() == "done"
    assert code == 0


async def test_concurrent_requests_get_their_own_answers(client: aiohttp.ClientSession) -> None:
    async def ask(number: int) -> int:
        path = f"echo/a/{number}?code={KEY}"
        async with client.get(path) as response:
            return int((await response.json())["route"]["number"])

    assert await asyncio.gather(*map(ask, range(50))) == list(range(50))

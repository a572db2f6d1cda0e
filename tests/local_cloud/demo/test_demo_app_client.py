import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from local_cloud.demo import app_client
from local_cloud.demo.app_client import App, AppRefusal
from local_cloud.stack import AppAddress


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_client, "_PAUSE", 0.0)


async def send_twice_answered(first: web.Response) -> dict[str, object]:
    """Send a POST to a server that returns `first` once, then a document. Return the document."""
    answers = [first]

    async def answer(_: web.Request) -> web.Response:
        return answers.pop() if answers else web.json_response({"items": []})

    served = web.Application()
    served.router.add_post("/api/network/firewall-fixes", answer)
    async with TestServer(served) as server, aiohttp.ClientSession() as session:
        address = AppAddress(url=str(server.make_url("")).rstrip("/"), key="key")
        return await App(session, lambda: address).post("network/firewall-fixes", {})


async def test_rejection_that_names_a_time_is_repeated() -> None:
    """A killed process still holds its lease for a moment."""
    held = web.json_response({"title": "Conflict"}, status=409, headers={"Retry-After": "1"})

    assert await send_twice_answered(held) == {"items": []}


async def test_rejection_without_a_time_is_an_error() -> None:
    """Only a person can remove the cause of such a rejection."""
    with pytest.raises(AppRefusal, match="409: Conflict"):
        await send_twice_answered(web.json_response({"title": "Conflict"}, status=409))

import asyncio
from datetime import timedelta

import pytest

from shared.adapters.function_keys import HostFunctionKeys
from shared.adapters.http.client import HttpClient
from shared.errors import TransientError
from tests.fakes.clock import ManualClock
from tests.unit.adapter_wire import Scripted, ScriptedTransport

APP = "https://app.azurewebsites.net"
YES, NO = Scripted(status=204), Scripted(status=401)


class Keys:
    """The adapter under test, with its scripted transport and clock."""

    def __init__(self, *answers: Scripted | Exception, address: str = APP) -> None:
        self.transport, self.clock = ScriptedTransport(*answers), ManualClock()
        self.adapter = HostFunctionKeys(HttpClient(self.transport), self.clock, address)

    async def accepts(self, key: str) -> bool:
        return await self.adapter.accepts(key)


async def test_answer_of_the_host_about_a_function_key_is_cached_for_a_minute() -> None:
    keys = Keys(YES, NO, NO, YES)

    assert [await keys.accepts(one) for one in ("a", "b", "a", "b")] == [True, False, True, False]
    assert len(keys.transport.requests) == 2
    await keys.clock.sleep(timedelta(minutes=1))
    assert [await keys.accepts("a"), await keys.accepts("b")] == [False, True]

    sent = keys.transport.requests[0]
    assert (sent.method, sent.url) == ("GET", f"{APP}/api/function-key")
    assert sent.headers["x-functions-key"] == "a"


async def test_concurrent_requests_with_one_key_send_one_check() -> None:
    keys = Keys(YES)

    assert await asyncio.gather(*(keys.accepts("a") for _ in range(20))) == [True] * 20
    assert len(keys.transport.requests) == 1


@pytest.mark.parametrize("key", ["a\r\nHost: other", "ключ", "a\x00", "a" * 1001])
async def test_key_with_characters_that_no_header_allows_is_rejected_without_a_check(
    key: str,
) -> None:
    keys = Keys()

    assert not await keys.accepts(key)
    assert keys.transport.requests == []


@pytest.mark.parametrize(
    ("answer", "address"),
    [
        (Scripted(status=403), APP),  # denied by the app's own firewall
        (Scripted(status=404), APP),
        (Scripted(status=302), APP),  # a proxy that requires everybody to sign in
        (Scripted(status=429), APP),
        (YES, ""),
    ],
)
async def test_failed_check_of_a_key_raises_transient_error_and_is_not_cached(
    answer: Scripted, address: str
) -> None:
    keys = Keys(answer, YES, address=address)

    with pytest.raises(TransientError):
        await keys.accepts("a")

    if address:
        assert await keys.accepts("a")


async def test_many_wrong_keys_do_not_fill_the_memory() -> None:
    keys = Keys(*[NO] * 2500)
    for number in range(2500):
        assert not await keys.accepts(str(number))

    assert len(keys.adapter._checked) <= 1000

from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.core.rest import HttpRequest

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.errors import (
    PlatformError,
    ServiceOutage,
    ServiceUnavailable,
    ThrottledError,
    TokenRejected,
)
from shared.settings import Settings
from shared.state.circuit_breakers import CircuitBreakers
from shared.state.tables import Tables
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.unit.adapter_wire import (
    NumberedCredential,
    Scripted,
    ScriptedResponse,
    ScriptedTransport,
)

URL = "https://api.flow.microsoft.com/providers/x"
NEXT = "https://emea.api.flow.microsoft.com/providers/x?$skiptoken=2"
READ = ServiceRequest(method="GET", url=URL)
WRITE = ServiceRequest(method="PATCH", url=URL, body={"a": 1})
SIG = "s" * 43


class TightBudget:
    """A request budget with `calls` requests left. After that, it raises once, and then allows five
    more.
    """

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.pauses: list[timedelta] = []

    is_in_invocation = False

    async def wait_for_requests(self, count: int = 1) -> None:
        """Do nothing, so that `take` raises."""

    async def take(self, *, is_write: bool = False) -> None:
        if self.left == 0:
            self.left = 5
            raise ThrottledError(retry_after=timedelta(seconds=60))
        self.left -= 1

    async def slow_down(self, wait: timedelta) -> None:
        self.pauses.append(wait)


def build_service(
    budget: TightBudget | None = None, credential: NumberedCredential | None = None
) -> HttpService:
    return HttpService(
        name="Flow service",
        scope="https://service.flow.microsoft.com//.default",
        credential=credential or NumberedCredential(),
        budget=budget,
        domains=("api.flow.microsoft.com",),
    )


async def test_request_contains_a_token_for_the_scope_of_its_service() -> None:
    transport = ScriptedTransport(Scripted(), Scripted())
    http = HttpClient(transport)
    credential = NumberedCredential()
    flow_service = build_service(credential=credential)

    await http.send(flow_service, READ)
    await http.send(flow_service, READ)

    assert transport.requests[1].headers["Authorization"] == "Bearer token-1"
    assert "cmk-flow-remediation" in transport.requests[0].headers["User-Agent"]
    assert credential.asked == [flow_service.scope]
    assert http.calls == {"Flow service": 2}


@pytest.mark.parametrize("first", [Scripted(status=503), ServiceRequestError("no connection")])
async def test_a_read_is_tried_twice(first: Scripted | Exception) -> None:
    transport = ScriptedTransport(first, Scripted(body={"n": 1}))

    answer = await HttpClient(transport).send(build_service(), READ)

    assert answer.body == b'{"n": 1}'
    assert transport.slept == [0.5]


@pytest.mark.parametrize("first", [Scripted(status=503), ServiceRequestError("no connection")])
async def test_failed_write_is_not_retried(first: Scripted | Exception) -> None:
    """The client cannot know whether a failed write took effect."""
    transport = ScriptedTransport(first)

    with pytest.raises(ServiceUnavailable):
        await HttpClient(transport).send(build_service(), WRITE)

    assert len(transport.requests) == 1


async def test_write_is_repeated_with_a_new_token_after_401() -> None:
    """After a 401, the service has not executed the write."""
    transport = ScriptedTransport(Scripted(status=401), Scripted(status=204))

    answer = await HttpClient(transport).send(build_service(), WRITE)

    assert answer.status == 204
    assert transport.requests[1].headers["Authorization"] == "Bearer token-2"


async def test_token_after_401_does_not_come_from_the_cache_of_the_credential() -> None:
    """A credential returns a cached token even if the token was revoked."""

    class Keeping(NumberedCredential):
        async def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
            if claims or not self.asked:
                return await super().get_token(*scopes)
            return AccessToken(f"token-{len(self.asked)}", 4_000_000_000)

    transport = ScriptedTransport(Scripted(status=401), Scripted(), Scripted())
    http, flow_service = HttpClient(transport), build_service(credential=Keeping())

    await http.send(flow_service, READ)
    await http.send(flow_service, READ)

    tokens = [request.headers["Authorization"] for request in transport.requests]
    assert tokens == ["Bearer token-2", "Bearer token-2", "Bearer token-2"]


async def test_second_401_raises_token_rejected() -> None:
    transport = ScriptedTransport(Scripted(status=401), Scripted(status=401))

    with pytest.raises(TokenRejected) as caught:
        await HttpClient(transport).send(build_service(), READ)

    assert caught.value.code == "Http401"


@pytest.mark.parametrize(("status", "kind"), [(400, TokenRejected), (500, ServiceUnavailable)])
async def test_failed_sign_in_raises_an_error_that_names_the_service(
    status: int, kind: type[Exception]
) -> None:
    answer: Any = ScriptedResponse(HttpRequest("GET", URL), Scripted(status=status))
    answer.reason = "of the script"

    class Broken(NumberedCredential):
        async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            raise ClientAuthenticationError("no identity", response=answer)

    broken = HttpService(name="Dataverse", scope="https://x/.default", credential=Broken())

    with pytest.raises(kind, match="Dataverse"):
        await HttpClient(ScriptedTransport()).send(broken, READ)


async def test_outage_in_one_environment_stops_requests_to_this_environment_only() -> None:
    def write(environment: str) -> ServiceRequest:
        url = f"https://api.flow.microsoft.com/providers/x/environments/{environment}/flows/1"
        return ServiceRequest(method="PATCH", url=url, body={})

    transport = ScriptedTransport(*[Scripted(status=503)] * 5, Scripted(status=204))
    circuits = CircuitBreakers(Tables(MemoryStore()), ManualClock(), Settings(tenant_id="tests"))
    http, flow_service = HttpClient(transport, circuits), build_service()

    for _ in range(4):
        with pytest.raises(ServiceUnavailable, match="the service gave no reason"):
            await http.send(flow_service, write("here"))
    for _ in range(3):
        with pytest.raises(ServiceOutage, match=r"Flow service \(here\) is not available"):
            await http.send(flow_service, write("here"))
    await http.send(flow_service, write("there"))

    assert len(transport.requests) == 6


async def test_repeated_500_answers_open_no_circuit_breaker() -> None:
    """A 500 may concern only one flow or row."""
    transport = ScriptedTransport(*[Scripted(status=500)] * 20)
    circuits = CircuitBreakers(Tables(MemoryStore()), ManualClock(), Settings(tenant_id="tests"))
    http, flow_service = HttpClient(transport, circuits), build_service()

    for _ in range(20):
        with pytest.raises(ServiceUnavailable) as caught:
            await http.send(flow_service, WRITE)
        assert not isinstance(caught.value, ServiceOutage)


async def test_throttled_request_is_not_tried_again() -> None:
    transport = ScriptedTransport(Scripted(status=429, headers={"Retry-After": "17"}))
    budget = TightBudget(5)

    with pytest.raises(ThrottledError) as caught:
        await HttpClient(transport).send(build_service(budget=budget), READ)

    assert caught.value.retry_after == timedelta(seconds=17)
    assert budget.pauses == [timedelta(seconds=17)]
    assert len(transport.requests) == 1


async def test_exhausted_budget_stops_the_request_before_it_is_sent() -> None:
    transport = ScriptedTransport()

    with pytest.raises(ThrottledError):
        await HttpClient(transport).send(build_service(budget=TightBudget(0)), READ)

    assert transport.requests == []


async def test_list_is_read_to_its_last_page() -> None:
    transport = ScriptedTransport(
        Scripted(body={"value": [1, 2], "nextLink": NEXT}), Scripted(body={"value": [3]})
    )
    call = ServiceRequest(
        method="GET", url=URL, params={"api-version": "1"}, headers={"Prefer": "x"}
    )

    items = [item async for item in HttpClient(transport).read_items(build_service(), call)]

    assert items == [1, 2, 3]
    assert transport.requests[1].url == NEXT
    assert transport.requests[1].headers["Prefer"] == "x"


async def test_the_pages_of_a_list_wait_for_the_budget() -> None:
    """If later pages did not wait, a list longer than the budget could never be read."""
    transport = ScriptedTransport(
        Scripted(body={"value": [1], "nextLink": NEXT}), Scripted(body={"value": [2]})
    )

    items = [
        item
        async for item in HttpClient(transport).read_items(
            build_service(budget=TightBudget(1)), READ
        )
    ]

    assert items == [1, 2]
    assert transport.slept == [60.0]


async def test_throttled_list_raises_after_two_waits() -> None:
    refusal = Scripted(status=429, headers={"Retry-After": "100"})
    transport = ScriptedTransport(
        Scripted(body={"value": [1], "nextLink": NEXT}), refusal, refusal, refusal
    )

    with pytest.raises(ThrottledError):
        _ = [item async for item in HttpClient(transport).read_items(build_service(), READ)]

    assert transport.slept == [100.0, 100.0]


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/x",
        "https://xapi.flow.microsoft.com/",
        "https://mine.westeurope.cloudapp.azure.com/x",  # anybody can have such a host
        "https://api.powerapps.com/x",
        "https://api.bap.microsoft.com/x",
        "http://emea.api.flow.microsoft.com/x",
        "https://emea.api.flow.microsoft.com:8443/x",
        "https://api.flow.microsoft.com@elsewhere.example/x",
        "https://elsewhere.example\\.api.flow.microsoft.com/x",
        "https://elsewhere.example#.api.flow.microsoft.com",
        "https://[",
        "//elsewhere.example/x",
        "//[",
        URL,
    ],
)
async def test_next_link_to_another_host_or_to_the_same_page_is_not_followed(link: str) -> None:
    """The request contains the access token, so it is sent only to hosts of the service."""
    transport = ScriptedTransport(Scripted(body={"value": [1], "nextLink": link}))

    with pytest.raises(ServiceUnavailable):
        _ = [item async for item in HttpClient(transport).read_items(build_service(), READ)]

    assert len(transport.requests) == 1


async def test_relative_next_link_is_followed_on_the_same_host() -> None:
    """App Configuration sends the path of the next page only."""
    first, second = {"value": [1], "nextLink": "/more?after=1"}, {"value": [2]}
    transport = ScriptedTransport(Scripted(body=first), Scripted(body=second))

    items = [item async for item in HttpClient(transport).read_items(build_service(), READ)]

    assert items == [1, 2]
    assert transport.requests[1].url == urljoin(URL, "/more?after=1")


@pytest.mark.parametrize("body", [b"<html>", [1], {"items": []}])
async def test_answer_that_is_not_a_list_raises_service_unavailable(body: object) -> None:
    """The response may be the error page of a gateway."""
    transport = ScriptedTransport(Scripted(body=body))

    with pytest.raises(ServiceUnavailable):
        _ = [item async for item in HttpClient(transport).read_items(build_service(), READ)]


async def test_no_error_shows_an_address_or_a_signature() -> None:
    url = f"https://prod-1.westeurope.logic.azure.com/workflows/{'a' * 32}/x?sig={SIG}"
    failures: list[Scripted | Exception] = [
        Scripted(status=400, body={"error": {"code": "Bad", "message": f"cannot call {url}"}}),
        ServiceRequestError(f"400, message='', url='{url}'"),
    ]

    for failure in failures:
        with pytest.raises((PlatformError, ServiceUnavailable)) as caught:
            await HttpClient(ScriptedTransport(failure)).send(
                build_service(), ServiceRequest(method="POST", url=url)
            )
        shown = [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
        assert SIG not in "".join(shown)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

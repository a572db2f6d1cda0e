"""Test which host of the flow service a request uses, also after an error about the region."""

import pytest

from shared.adapters.flow_service.service import SCOPE, FlowService
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.errors import PlatformError
from tests.unit.adapter_wire import (
    NumberedCredential,
    Scripted,
    ScriptedTransport,
    ToldEndpoint,
)

GLOBAL = "api.flow.microsoft.com"
START = ServiceRequest(method="POST", url="flows/f/start", body={})
REFUSAL = "Cannot determine macro region for location 'asia'"


def refused(code: str, message: str) -> Scripted:
    """Return an error in the platform's envelope."""
    return Scripted(status=400, body={"error": {"code": code, "message": message}})


def flow_service(
    transport: ScriptedTransport, told: str = "", credential: NumberedCredential | None = None
) -> FlowService:
    """Return the flow service of environments with this address."""
    service = HttpService(name="x", scope=SCOPE, credential=credential or NumberedCredential())
    return FlowService(HttpClient(transport), service, ToldEndpoint(told))


@pytest.mark.parametrize("told", ["https://asia.api.flow.microsoft.com", f"https://{GLOBAL}/"])
async def test_a_call_goes_where_its_environment_says(told: str) -> None:
    """The token is for the service, whatever its host."""
    transport, credential = ScriptedTransport(Scripted()), NumberedCredential()

    await flow_service(transport, told, credential).send("e", START)

    (request,) = transport.requests
    path = "/providers/Microsoft.ProcessSimple/scopes/admin/environments/e/flows/f/start"
    assert request.url == f"{told.rstrip('/')}{path}?api-version=2016-11-01"
    assert credential.asked == [SCOPE]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "http://asia.api.flow.microsoft.com",
        "https://attacker.example",
        "https://api.flow.microsoft.com.attacker.example",
        "https://attacker.example/.api.flow.microsoft.com",
        "https://x@attacker.example",
        "https://asia.api.flow.microsoft.com:444",
        "https://[",
    ],
)
async def test_a_token_goes_to_no_host_but_the_services_own(told: str) -> None:
    """An invalid address is ignored, and the global host is used."""
    transport = ScriptedTransport(Scripted())

    await flow_service(transport, told).send("e", START)

    assert transport.hosts == [GLOBAL]


@pytest.mark.parametrize(
    "refusal",
    [
        refused("MacroRegionDerivationFailed", REFUSAL),
        refused(
            "AzureResourceManagerRequestFailed",
            f'Failed: {{"error":{{"code":"MacroRegionDerivationFailed","message":"{REFUSAL}"}}}}',
        ),
        Scripted(
            status=400,
            body=b'{"error":{"code":"MacroRegionDerivationFailed","message":"Cannot determine '
            b'macro region for location \\u0027asia\\u0027"}}',
        ),
    ],
)
async def test_a_call_whose_region_cannot_be_told_is_made_at_the_regional_host(
    refusal: Scripted,
) -> None:
    """A write is sent again, too, because this error comes before any change."""
    transport = ScriptedTransport(refusal, Scripted())

    await flow_service(transport).send("e", START)

    assert transport.hosts == [GLOBAL, f"asia.{GLOBAL}"]
    first, second = transport.requests
    assert (first.method, second.method, second.content) == ("POST", "POST", "{}")


@pytest.mark.parametrize(
    ("location", "host"), [("uk", "unitedkingdom"), ("unitedkingdom",) * 2, ("europe", "emea")]
)
async def test_a_regional_host_may_be_called_otherwise_than_the_location(
    location: str, host: str
) -> None:
    """The United Kingdom has two names and one host."""
    message = REFUSAL.replace("asia", location)
    transport = ScriptedTransport(refused("MacroRegionDerivationFailed", message), Scripted())

    await flow_service(transport).send("e", START)

    assert transport.hosts[-1] == f"{host}.{GLOBAL}"


async def test_the_pages_of_a_list_are_read_at_the_regional_host() -> None:
    """The link of the first page leads to the other pages."""
    link = f"https://asia.{GLOBAL}/flows?$skiptoken=2"
    transport = ScriptedTransport(
        refused("MacroRegionDerivationFailed", REFUSAL),
        Scripted(body={"value": [1], "nextLink": link}),
        Scripted(body={"value": [2]}),
    )

    call = ServiceRequest(method="GET", url="flows")
    items = [item async for item in flow_service(transport).items("e", call)]

    assert items == [1, 2]
    assert transport.hosts == [GLOBAL, f"asia.{GLOBAL}", f"asia.{GLOBAL}"]


@pytest.mark.parametrize(
    ("told", "message", "code"),
    [
        # The regional host itself: nowhere else to go.
        (f"https://asia.{GLOBAL}", REFUSAL, "MacroRegionDerivationFailed"),
        ("", "Cannot determine macro region.", "MacroRegionDerivationFailed"),
        ("", REFUSAL, "InvalidTemplate"),
    ],
)
async def test_any_other_refusal_stays_one(told: str, message: str, code: str) -> None:
    """Only one request is sent, and its code is kept."""
    transport = ScriptedTransport(refused(code, message))

    with pytest.raises(PlatformError) as caught:
        await flow_service(transport, told).send("e", START)

    assert caught.value.code == code
    assert len(transport.requests) == 1

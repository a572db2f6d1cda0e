import pytest

from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.clouds import PUBLIC
from shared.errors import PlatformError
from tests.unit.adapter_wire import (
    FixedEndpoint,
    NumberedCredential,
    Scripted,
    ScriptedTransport,
)

GLOBAL = "api.flow.microsoft.com"
START = ServiceRequest(method="POST", url="flows/f/start", body={})
REFUSAL = "Cannot determine macro region for location 'asia'"


def build_refusal(code: str, message: str) -> Scripted:
    return Scripted(status=400, body={"error": {"code": code, "message": message}})


def build_flow_service(
    transport: ScriptedTransport, address: str = "", credential: NumberedCredential | None = None
) -> FlowService:
    service = HttpService(
        name="x", scope=PUBLIC.flow_service_scope, credential=credential or NumberedCredential()
    )
    return FlowService(HttpClient(transport), service, FixedEndpoint(address), PUBLIC)


@pytest.mark.parametrize("address", ["https://asia.api.flow.microsoft.com", f"https://{GLOBAL}/"])
async def test_request_is_sent_to_the_flow_service_address_of_its_environment(address: str) -> None:
    transport, credential = ScriptedTransport(Scripted()), NumberedCredential()

    await build_flow_service(transport, address, credential).send("e", START)

    (request,) = transport.requests
    path = "/providers/Microsoft.ProcessSimple/scopes/admin/environments/e/flows/f/start"
    assert request.url == f"{address.rstrip('/')}{path}?api-version=2016-11-01"
    assert credential.asked == [PUBLIC.flow_service_scope]


@pytest.mark.parametrize(
    "address",
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
async def test_token_is_sent_only_to_hosts_of_the_flow_service(address: str) -> None:
    transport = ScriptedTransport(Scripted())

    await build_flow_service(transport, address).send("e", START)

    assert transport.hosts == [GLOBAL]


@pytest.mark.parametrize(
    "refusal",
    [
        build_refusal("MacroRegionDerivationFailed", REFUSAL),
        build_refusal(
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
async def test_request_is_repeated_at_the_regional_host_that_the_error_names(
    refusal: Scripted,
) -> None:
    """The app also repeats a write, because the platform returns this error before any change."""
    transport = ScriptedTransport(refusal, Scripted())

    await build_flow_service(transport).send("e", START)

    assert transport.hosts == [GLOBAL, f"asia.{GLOBAL}"]
    first, second = transport.requests
    assert (first.method, second.method, second.content) == ("POST", "POST", "{}")


@pytest.mark.parametrize(
    ("location", "host"), [("uk", "unitedkingdom"), ("unitedkingdom",) * 2, ("europe", "emea")]
)
async def test_regional_host_may_differ_from_the_location(location: str, host: str) -> None:
    message = REFUSAL.replace("asia", location)
    transport = ScriptedTransport(build_refusal("MacroRegionDerivationFailed", message), Scripted())

    await build_flow_service(transport).send("e", START)

    assert transport.hosts[-1] == f"{host}.{GLOBAL}"


async def test_the_pages_of_a_list_are_read_at_the_regional_host() -> None:
    link = f"https://asia.{GLOBAL}/flows?$skiptoken=2"
    transport = ScriptedTransport(
        build_refusal("MacroRegionDerivationFailed", REFUSAL),
        Scripted(body={"value": [1], "nextLink": link}),
        Scripted(body={"value": [2]}),
    )

    call = ServiceRequest(method="GET", url="flows")
    items = [item async for item in build_flow_service(transport).read_items("e", call)]

    assert items == [1, 2]
    assert transport.hosts == [GLOBAL, f"asia.{GLOBAL}", f"asia.{GLOBAL}"]


@pytest.mark.parametrize(
    ("address", "message", "code"),
    [
        # The regional host itself: nowhere else to go.
        (f"https://asia.{GLOBAL}", REFUSAL, "MacroRegionDerivationFailed"),
        ("", "Cannot determine macro region.", "MacroRegionDerivationFailed"),
        ("", REFUSAL, "InvalidTemplate"),
    ],
)
async def test_any_other_error_is_raised_without_a_second_request(
    address: str, message: str, code: str
) -> None:
    transport = ScriptedTransport(build_refusal(code, message))

    with pytest.raises(PlatformError) as caught:
        await build_flow_service(transport, address).send("e", START)

    assert caught.value.code == code
    assert len(transport.requests) == 1

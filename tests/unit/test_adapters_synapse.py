import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from shared.adapters.azure.synapse import WorkspaceArtifacts
from shared.adapters.http.client import HttpClient, HttpService
from shared.domain.clouds import PUBLIC
from shared.errors import CmkflowError, Conflict, PlatformError, ServiceUnavailable
from tests.unit.adapter_wire import NumberedCredential, Scripted, ScriptedTransport

STATE = "https://contoso.dev.azuresynapse.net/operationResults/1?api-version=2020-12-01"


def build_accepted(location: str = STATE, wait: str = "0") -> Scripted:
    headers = {"Location": location, "Retry-After": wait}
    return Scripted(status=202, headers=headers, body=b'{"status": "InProgress"}')


def build_failed(code: str) -> Scripted:
    body = {"status": "Failed", "error": {"code": code, "message": "invalid reference 'crm'"}}
    return Scripted(body=json.dumps(body).encode())


class Token(NumberedCredential):
    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._token, 4_000_000_000)


def build_artifacts(
    transport: ScriptedTransport, credential: Token | None = None
) -> WorkspaceArtifacts:
    service = HttpService(name="Synapse", scope="s", credential=credential)
    return WorkspaceArtifacts(HttpClient(transport), service, PUBLIC)


async def write_pipeline(transport: ScriptedTransport) -> None:
    artifacts = build_artifacts(transport)
    await artifacts.write("contoso", "pipelines", "Send mail", {"activities": []}, etag="1")


async def test_save_is_read_until_it_is_complete() -> None:
    done = Scripted(body=b'{"name": "Send mail", "etag": "2"}')
    transport = ScriptedTransport(build_accepted(), build_accepted(wait="3"), done)

    await write_pipeline(transport)

    first, *others = transport.requests
    assert (first.method, first.headers["If-Match"]) == ("PUT", "1")
    assert "/pipelines/Send%20mail?" in first.url
    assert [(one.method, one.url) for one in others] == [("GET", STATE)] * 2
    assert transport.slept == [0.5, 3.0]


async def test_state_without_an_address_keeps_the_one_before() -> None:
    running = Scripted(status=202, body=b'{"status": "InProgress"}')
    transport = ScriptedTransport(build_accepted(), running, Scripted(body=b'{"etag": "2"}'))

    await write_pipeline(transport)

    assert [one.url for one in transport.requests[1:]] == [STATE] * 2


async def test_long_wait_is_left_to_a_later_invocation() -> None:
    """The job's lease would expire during a long wait."""
    transport = ScriptedTransport(build_accepted(wait="3600"))

    with pytest.raises(ServiceUnavailable, match="still saving") as raised:
        await write_pipeline(transport)

    assert raised.value.retry_after == timedelta(hours=1)
    assert transport.slept == []


@pytest.mark.parametrize(
    ("answers", "expected", "message"),
    [
        ([build_failed("BadRequest")], PlatformError, "invalid reference 'crm'"),
        ([build_failed("PreconditionFailed")], Conflict, "invalid reference"),
        ([Scripted(body=b'{"status": "Canceled"}')], PlatformError, "gave no reason"),
        ([build_accepted()] * 5, ServiceUnavailable, "still saving"),
        ([Scripted(status=404)], ServiceUnavailable, "no state of the save"),
    ],
)
async def test_save_that_failed_or_takes_too_long_is_an_error(
    answers: list[Scripted], expected: type[CmkflowError], message: str
) -> None:
    """The response about a failed save has the status 200."""
    transport = ScriptedTransport(build_accepted(), *answers)

    with pytest.raises(expected, match=message) as raised:
        await write_pipeline(transport)

    if message == "still saving":
        assert isinstance(raised.value, ServiceUnavailable)
        assert raised.value.retry_after == timedelta(seconds=30)
    assert transport.answers == []


async def test_permissions_are_checked_for_the_identity_of_the_token() -> None:
    decisions = [
        {"actionId": "read", "accessDecision": "Allowed"},
        {"actionId": "write", "accessDecision": "NotAllowed"},
    ]
    transport = ScriptedTransport(Scripted(body={"AccessDecisions": decisions}))
    claims = base64.urlsafe_b64encode(b'{"oid": "me"}').decode().rstrip("=")

    denied = await build_artifacts(transport, Token(f"e.{claims}.s")).find_denied_actions(
        "contoso", ["read", "write", "unknown"]
    )

    [request] = transport.requests
    assert json.loads(str(request.content))["subject"] == {"principalId": "me"}
    assert denied == ["write", "unknown"]


@pytest.mark.parametrize("token", ["opaque", "e.!!.s", "e.W10.s"])
async def test_token_without_an_object_id_is_an_error(token: str) -> None:
    artifacts = build_artifacts(ScriptedTransport(), Token(token))

    with pytest.raises(PlatformError, match="no object id"):
        await artifacts.find_denied_actions("contoso", ["read"])


@pytest.mark.parametrize(
    "location", ["", "https://evil.example/x", "http://contoso.dev.azuresynapse.net/x"]
)
async def test_another_host_gets_no_token(location: str) -> None:
    """A request to that host would contain the access token."""
    transport = ScriptedTransport(build_accepted(location))

    with pytest.raises(ServiceUnavailable, match="no state of the save"):
        await write_pipeline(transport)

    assert transport.hosts == ["contoso.dev.azuresynapse.net"]

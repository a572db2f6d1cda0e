import asyncio
from typing import Any

import msal
import pytest
import requests
from azure.core import AsyncPipelineClient
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity.aio import ClientSecretCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    ADMIN_FLOWS,
    APP,
    APP_CLIENT,
    BAP,
    BAP_AUDIENCE,
    FLOW_AUDIENCE,
    MAKER,
    TENANT_ID,
    TenantWorld,
)

AUTHORITY = f"https://login.microsoftonline.com/{TENANT_ID}"


def build_http_client(world: TenantWorld) -> requests.Session:
    """Return an HTTP client that reaches the tenant as a program with HTTPS_PROXY does."""
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"https": world.server.proxy_url}
    session.verify = world.server.ca_file
    return session


async def test_msal_gets_an_application_token(world: TenantWorld) -> None:
    def acquire() -> dict[str, str]:
        with build_http_client(world) as client:
            app = msal.ConfidentialClientApplication(
                APP_CLIENT, "app-secret", AUTHORITY, http_client=client
            )
            answer: dict[str, str] = app.acquire_token_for_client([f"{BAP_AUDIENCE}.default"])
            return answer

    answer = await asyncio.to_thread(acquire)

    caller = world.tenant.tokens.read(answer["access_token"])
    assert (caller.object_id, caller.is_delegated) == (APP, False)


async def test_msal_rejects_a_wrong_secret(world: TenantWorld) -> None:
    def acquire() -> dict[str, str]:
        with build_http_client(world) as client:
            app = msal.ConfidentialClientApplication(
                APP_CLIENT, "guessed", AUTHORITY, http_client=client
            )
            answer: dict[str, str] = app.acquire_token_for_client([f"{BAP_AUDIENCE}.default"])
            return answer

    answer = await asyncio.to_thread(acquire)

    assert answer["error"] == "invalid_client"


async def test_msal_signs_a_person_in_by_device_code_and_refreshes(world: TenantWorld) -> None:
    """msal gets the second token with the refresh token."""

    def acquire() -> tuple[dict[str, str], dict[str, str]]:
        with build_http_client(world) as client:
            app = msal.PublicClientApplication(APP_CLIENT, authority=AUTHORITY, http_client=client)
            flow = app.initiate_device_flow([f"{FLOW_AUDIENCE}/.default"])
            first = app.acquire_token_by_device_flow(flow)
            account = app.get_accounts()[0]
            other_scope = [f"{BAP_AUDIENCE}/.default"]
            return first, app.acquire_token_silent(other_scope, account)

    first, second = await asyncio.to_thread(acquire)

    caller = world.tenant.tokens.read(first["access_token"])
    assert (caller.object_id, caller.is_delegated) == (MAKER, True)
    assert caller.audience == FLOW_AUDIENCE
    assert world.tenant.tokens.read(second["access_token"]).audience == BAP_AUDIENCE


async def test_unknown_application_gets_no_device_code(world: TenantWorld) -> None:
    """A mistyped client id is found before anybody signs in."""

    def ask() -> dict[str, str]:
        with build_http_client(world) as client:
            app = msal.PublicClientApplication(
                "a0000000-0000-4000-8000-00000000dead", authority=AUTHORITY, http_client=client
            )
            answer: dict[str, str] = app.initiate_device_flow([f"{FLOW_AUDIENCE}/.default"])
            return answer

    answer = await asyncio.to_thread(ask)

    assert answer["error"] == "unauthorized_client"
    assert "AADSTS700016" in answer["error_description"]
    assert "device_code" not in answer


async def test_azure_identity_gets_a_managed_identity_token(
    world: TenantWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", world.server.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", world.server.identity_header)

    async with AsyncManagedIdentityCredential() as credential:
        token = await credential.get_token("https://management.azure.com/.default")

    caller = world.tenant.tokens.read(token.token)
    assert caller.object_id == APP
    assert not caller.is_delegated
    assert caller.audience == "https://management.azure.com"


async def test_identity_endpoint_requires_its_header(
    world: TenantWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the header, another process of the machine could get a token."""
    async with world.session.get(
        world.server.identity_endpoint,
        params={"resource": "https://vault.azure.net", "api-version": "2019-08-01"},
        headers={"X-IDENTITY-HEADER": "guessed"},
    ) as response:
        assert response.status == 401


def build_bap_client(
    policy: AsyncBearerTokenCredentialPolicy[Any, Any],
) -> AsyncPipelineClient[HttpRequest, AsyncHttpResponse]:
    return AsyncPipelineClient(BAP, policies=[policy])


async def test_azure_core_calls_bap_by_its_real_host_name(world: TenantWorld) -> None:
    options: dict[str, Any] = {
        "proxies": {"https": world.server.proxy_url},
        "connection_verify": world.server.ca_file,
    }

    async with (
        ClientSecretCredential(TENANT_ID, APP_CLIENT, "app-secret", **options) as credential,
        build_bap_client(
            AsyncBearerTokenCredentialPolicy(credential, f"{BAP_AUDIENCE}.default")
        ) as bap,
    ):
        url = f"{BAP}/scopes/admin/environments?api-version=2023-06-01"
        response = await bap.send_request(HttpRequest("GET", url), stream=False, **options)

    assert response.status_code == 200
    assert len(response.json()["value"]) == 2


async def test_token_for_another_service_is_rejected(world: TenantWorld) -> None:
    url = f"{ADMIN_FLOWS}/v2/flows"

    answer = await world.call("GET", url, audience=BAP_AUDIENCE)
    swapped = await world.call("GET", f"{BAP}/scopes/admin/environments", audience=FLOW_AUDIENCE)
    without = await world.call("GET", url, who=None)

    assert [answer.status, swapped.status, without.status] == [401, 401, 401]
    assert answer.code == "InvalidAuthenticationToken"
    assert without.code == "AuthenticationFailed"


async def test_tokens_can_be_expired(world: TenantWorld) -> None:
    token = world.issue_token(APP, FLOW_AUDIENCE)
    await world.control("POST", "/tokens/expire")

    answer = await world.call(
        "GET",
        f"{ADMIN_FLOWS}/v2/flows",
        who=None,
        headers={"Authorization": f"Bearer {token}"},
    )

    assert answer.status == 401
    assert answer.code == "ExpiredAuthenticationToken"


async def test_only_a_person_registers_an_application(world: TenantWorld) -> None:
    """A service principal cannot make itself an administrator."""
    url = f"{BAP}/adminApplications/{APP_CLIENT}"

    by_itself = await world.call("PUT", url, {})
    await world.call("DELETE", url, who=ADMIN)
    unregistered = await world.call("GET", f"{BAP}/scopes/admin/environments")
    by_admin = await world.call("PUT", url, {}, who=ADMIN)
    registered = await world.call("GET", f"{BAP}/scopes/admin/environments")

    assert by_itself.status == 403
    assert unregistered.status == 403
    assert by_admin.body == {"applicationId": APP_CLIENT}
    assert registered.status == 200

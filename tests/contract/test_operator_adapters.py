import json
from dataclasses import dataclass

import pytest
from msal import PublicClientApplication, authority

from shared.adapters.entra.identity import ServiceAccountCredential
from shared.adapters.flow_service.access import FlowServiceAccountFlows
from shared.domain.clouds import PUBLIC
from shared.errors import JobBlocked, ServiceUnavailable
from tests.contract.adapter_world import OPERATOR, Adapters
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW, MAKER


async def test_service_account_stays_signed_in_after_a_restart(
    app: Adapters,
) -> None:
    """Without the token cache in Key Vault, a person would have to sign in again."""
    with pytest.raises(JobBlocked) as caught:
        await app.flow_access.read_account_id()
    assert "sign-in" in caught.value.fix

    await app.sign_in()

    assert await app.flow_access.read_account_id() == MAKER
    kept = await app.secrets.read("https://kv-cmk.vault.azure.net", "operator-token-cache")
    assert "RefreshToken" in kept.value
    next_process = ServiceAccountCredential(OPERATOR, app.secrets)
    assert await next_process.read_object_id() == MAKER
    assert (await next_process.get_token(PUBLIC.flow_service_scope)).token


async def test_sign_in_is_renewed_until_the_tenant_rejects_it(app: Adapters) -> None:
    await app.sign_in()
    await app.flow_access.renew_sign_in()

    app.world.tenant.tokens.revoke_refresh_tokens()
    next_process = FlowServiceAccountFlows(
        app.flow_access._application,  # type: ignore[attr-defined]
        app.flow_access._as_account,  # type: ignore[attr-defined]
        ServiceAccountCredential(OPERATOR, app.secrets),
    )
    app.world.tenant.tokens.expire_all()
    kept = await app.secrets.read("https://kv-cmk.vault.azure.net", "operator-token-cache")
    without_access = json.loads(kept.value) | {"AccessToken": {}}
    await app.secrets.write(kept, json.dumps(without_access))

    with pytest.raises(JobBlocked) as caught:
        await next_process.renew_sign_in()
    assert caught.value.code == "service_account_signed_out"


@dataclass(frozen=True)
class _Answer:
    status_code: int
    text: str

    def get(self, *_: object, **__: object) -> "_Answer":
        return self


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_Answer(400, "AADSTS90002"), JobBlocked),
        (_Answer(429, ""), ServiceUnavailable),
        (_Answer(403, "Forbidden"), ServiceUnavailable),
        (_Answer(200, "<html>"), ServiceUnavailable),
    ],
)
async def test_only_an_unknown_tenant_is_named_as_wrong(
    app: Adapters, monkeypatch: pytest.MonkeyPatch, answer: _Answer, expected: type[Exception]
) -> None:
    """A rate limit or the error page of a proxy says nothing about the tenant's id."""
    await app.sign_in()
    discover = authority.tenant_discovery
    monkeypatch.setattr(authority, "tenant_discovery", lambda url, _: discover(url, answer))

    with pytest.raises(expected):
        await ServiceAccountCredential(OPERATOR, app.secrets).get_token(PUBLIC.flow_service_scope)


async def test_later_sign_in_is_found_by_a_running_process(app: Adapters) -> None:
    waiting = ServiceAccountCredential(OPERATOR, app.secrets)
    with pytest.raises(JobBlocked):
        await waiting.get_token(PUBLIC.flow_service_scope)

    await app.sign_in()

    assert (await waiting.get_token(PUBLIC.flow_service_scope)).token
    assert await waiting.read_object_id() == MAKER


async def test_account_is_read_from_the_cache_once(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read by msal would need a thread."""
    await app.sign_in()
    credential = ServiceAccountCredential(OPERATOR, app.secrets)
    looks = 0
    look = PublicClientApplication.get_accounts

    def count_and_list(self: PublicClientApplication, username: str | None = None) -> object:
        nonlocal looks
        looks += 1
        return look(self, username)

    monkeypatch.setattr(PublicClientApplication, "get_accounts", count_and_list)

    assert [await credential.read_object_id() for _ in range(3)] == [MAKER] * 3
    assert looks == 1


async def test_sign_in_of_another_account_replaces_the_known_account(app: Adapters) -> None:
    await app.sign_in()
    await app.flow_access.read_account_id()
    credential = ServiceAccountCredential(OPERATOR, app.secrets)
    credential._known = {"local_account_id": "another"}

    await credential.sign_in(PUBLIC.flow_service_scope, lambda _: None)

    assert await credential.read_object_id() == MAKER


async def test_revoked_sign_in_blocks_the_job(app: Adapters) -> None:
    """Only a person can fix the sign-in."""
    await app.sign_in()
    app.world.tenant.tokens._refresh_tokens.clear()

    with pytest.raises(JobBlocked):
        await ServiceAccountCredential(OPERATOR, app.secrets).get_token(
            "https://service.powerapps.com/.default"
        )


async def test_revoke_keeps_the_role_of_an_owner(app: Adapters) -> None:
    """A grant to the owner of a flow changes nothing, so its revocation must not, either."""
    await app.sign_in()

    await app.flow_access.grant(ENVIRONMENT, HTTP_FLOW)
    await app.flow_access.revoke(ENVIRONMENT, HTTP_FLOW)

    [held] = await app.flow_access.read_permissions(ENVIRONMENT, HTTP_FLOW)
    assert (held.principal_id, held.role) == (MAKER, "Owner")


async def test_revoked_tokens_of_both_identities_are_renewed(app: Adapters) -> None:
    """The application and the service account cache access tokens."""
    await app.sign_in()
    await app.flow_access.grant(ENVIRONMENT, HTTP_FLOW)
    before = await app.flow_access.read_trigger_url(ENVIRONMENT, HTTP_FLOW, "manual")
    assert await app.flow_reports.list_flows(ENVIRONMENT)

    app.world.tenant.tokens.expire_all()
    app.http.calls.clear()

    assert await app.flow_access.read_trigger_url(ENVIRONMENT, HTTP_FLOW, "manual") == before
    await app.flow_switch.stop(ENVIRONMENT, HTTP_FLOW)
    assert await app.flow_reports.list_flows(ENVIRONMENT)
    # Three calls, two of them again, and the operator's new tokens were kept: one call, and again.
    assert app.http.calls == {"Flow service": 5, "Key Vault": 2}

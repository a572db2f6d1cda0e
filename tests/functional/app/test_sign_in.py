"""The app behind App Service authentication, as the local host plays it: browsers and programs.

Microsoft's worker runs the app, the local tenant's Entra signs people in and its tokens, and the
keys they are verified with, go over the wire.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.endpoints import application_token, user_token
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from tests.contract.functions_host_process import ROOT, running_host
from tests.contract.tenant_world import (
    ADMIN,
    APP,
    BAP_AUDIENCE,
    MAKER,
    SEED,
    TENANT_ID,
    UNLICENSED,
)
from tests.functional.app.test_triggers_host import app_settings
from tests.functional.stories.app_calls import signed_in

API_CLIENT = "a0000000-0000-4000-8000-0000000000a1"
REGISTRATION = {
    "id": "a0000000-0000-4000-8000-0000000000a2",
    "clientId": API_CLIENT,
    "name": "Flow remediation",
    "appRoles": {ADMIN: ["operator", "approver"], MAKER: ["reader"], APP: ["operator"]},
    "redirectUris": ["http://127.0.0.1/.auth/login/aad/callback"],
    "federatedIdentities": [APP],
}
#: `authsettingsV2`, as infra/ sets it.
AUTHENTICATION = {
    "platform": {"enabled": True},
    "globalValidation": {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "RedirectToLoginPage",
    },
    "identityProviders": {
        "azureActiveDirectory": {
            "registration": {
                "openIdIssuer": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
                "clientId": API_CLIENT,
            },
            "validation": {"allowedAudiences": [f"api://{API_CLIENT}"]},
        }
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedApp:
    """The app, and the tenant that people sign in to."""

    url: str
    tenant: Tenant
    server: TenantServer
    session: aiohttp.ClientSession

    async def get(self, path: str = "api/kill-switch", **headers: str) -> tuple[int, Any]:
        """Return status and document, or the address that it redirects to."""
        async with self.session.get(
            f"{self.url}/{path}", headers=headers, allow_redirects=False
        ) as reply:
            if reply.status == 302:
                return reply.status, reply.headers["Location"]
            return reply.status, await reply.json(content_type=None)

    def token(self, object_id: str, audience: str = API_CLIENT) -> dict[str, str]:
        """Return the header with a person's token."""
        token = user_token(self.tenant, object_id, audience, API_CLIENT)
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def signed_app(
    folder: Path, authentication: Any = AUTHENTICATION
) -> AsyncIterator[SignedApp]:
    """Run the app as it ships: no function key counts."""
    tenant, description = Tenant(), deepcopy(SEED)
    description["directory"]["applications"].append(REGISTRATION)
    description["directory"]["deviceCodeUsers"] = {API_CLIENT: ADMIN}
    seed(tenant, description)
    async with TenantServer(tenant) as server:
        settings = app_settings(folder) | {
            "CMK_FUNCTION_KEY_ROLES": "",
            "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(authentication),
            "LOCAL_SIGN_IN_PAGE": f"{server.control_url}/sign-in",
            "HTTPS_PROXY": server.proxy_url,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": server.ca_file,
            "IDENTITY_ENDPOINT": server.identity_endpoint,
            "IDENTITY_HEADER": server.identity_header,
        }
        jar = aiohttp.CookieJar(unsafe=True)  # of an IP address too
        async with (
            running_host(folder, ROOT, **settings) as host,
            aiohttp.ClientSession(cookie_jar=jar) as session,
        ):
            yield SignedApp(url=host.url, tenant=tenant, server=server, session=session)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[SignedApp]:
    """The app as it ships."""
    async with signed_app(tmp_path) as app:
        yield app


async def sign_in(app: SignedApp, upn: str, path: str = "/api/kill-switch?") -> tuple[int, Any]:
    """Follow every step as a browser does, choosing an account; return what it ends with."""
    async with app.session.get(f"{app.url}{path}") as page:
        text = await page.text()
        assert "choose who you are" in text, text
        address = page.url
    links = dict(re.findall(r'<a href="([^"]+)">([^<]+)</a>', text))
    (link,) = [unescape(link) for link, name in links.items() if name == upn]
    async with app.session.get(f"{address.with_query(None)}{link}") as reply:
        return reply.status, await reply.json(content_type=None)


async def test_a_browser_signs_in_and_comes_to_where_it_wanted(app: SignedApp) -> None:
    """Sent to the page, back with a code, a session by cookie; without a secret of the app's."""
    status, document = await sign_in(app, "maker@contoso.example")

    assert (status, document["on"]) == (200, False)
    assert (await app.get())[0] == 200
    async with app.session.put(
        f"{app.url}/api/kill-switch", json={"on": True, "reason": "a drill"}
    ) as reply:
        assert reply.status == 403  # a reader
    assert (await app.get(".auth/logout")) == (302, "/")
    assert (await app.get())[0] == 302


async def test_who_has_no_role_gets_no_answer(app: SignedApp) -> None:
    """An account of the tenant alone opens nothing."""
    status, document = await sign_in(app, "trainee@contoso.example")

    assert status == 403
    assert "trainee@contoso.example" in document["detail"]
    assert (await app.get(**app.token(UNLICENSED)))[0] == 403


async def test_a_token_tells_who_orders(app: SignedApp) -> None:
    """A program's request by a person's token; the body cannot say otherwise."""
    async with app.session.put(
        f"{app.url}/api/kill-switch",
        json={"on": True, "by": "somebody", "reason": "a drill"},
        headers=app.token(ADMIN),
    ) as reply:
        assert (await reply.json())["by"] == "admin@contoso.example"


async def test_a_managed_identity_is_a_machine_with_roles(app: SignedApp) -> None:
    """It is assigned them like a person."""
    token = application_token(app.tenant, APP, f"api://{API_CLIENT}")
    async with app.session.put(
        f"{app.url}/api/kill-switch",
        json={"on": True, "reason": "a drill"},
        headers={"Authorization": f"Bearer {token}"},
    ) as reply:
        assert (await reply.json())["by"].startswith("application ")


async def test_what_a_sender_writes_of_itself_is_taken_away(app: SignedApp) -> None:
    """With a session of a reader's, or with none, forged headers make nobody an approver."""
    forged = signed_in("admin@contoso.example")
    assert (await app.get(**forged))[0] == 302

    async with app.session.put(
        f"{app.url}/api/kill-switch",
        json={"on": True, "reason": "a drill"},
        headers=forged | app.token(MAKER),
    ) as reply:
        assert reply.status == 403


async def test_forged_headers_reach_an_app_whose_platform_does_not_sign_in(
    tmp_path: Path,
) -> None:
    """There nobody takes them away; the app takes them for nothing."""
    off = AUTHENTICATION | {"platform": {"enabled": False}}
    async with signed_app(tmp_path, off) as app:
        forged = signed_in("admin@contoso.example")

        status, document = await app.get(**forged)

        assert status == 401
        assert "Nobody can sign in" in document["detail"]


async def test_tokens_of_others_are_refused(app: SignedApp) -> None:
    """For another audience, of another issuer's key, unsigned, or run out."""
    for_another = app.token(ADMIN, BAP_AUDIENCE)["Authorization"]
    claims = jwt.decode(
        app.token(ADMIN)["Authorization"].removeprefix("Bearer "),
        options={"verify_signature": False},
    )
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = [
        jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "local-tenant"}),
        jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "another"}),
        jwt.encode(claims, "", algorithm="none"),
        app.tenant.tokens.issue_for_others(claims | {"exp": 1}),
        app.tenant.tokens.issue_for_others(claims | {"iss": "https://elsewhere"}),
        "no token",
    ]
    for header in (for_another, *(f"Bearer {one}" for one in forged)):
        async with app.session.get(
            f"{app.url}/api/kill-switch", headers={"Authorization": header}
        ) as reply:
            assert reply.status == 401, header


async def test_signing_in_leads_to_no_other_host(app: SignedApp) -> None:
    """It would be an open redirection, with the app's name on it."""
    others = ("https://evil.example/", "//evil.example/", "/\\evil.example", "/%09/evil.example")
    for target in others:
        path = f"/.auth/login/aad?post_login_redirect_uri={target}"

        assert await sign_in_anywhere(app, path) == (302, "/")


async def sign_in_anywhere(app: SignedApp, path: str) -> tuple[int, str]:
    """Sign in, and return where the browser is sent after it."""
    async with app.session.get(f"{app.url}{path}", allow_redirects=False) as begun:
        page = begun.headers["Location"]
    async with app.session.get(f"{page}&account={MAKER}", allow_redirects=False) as chosen:
        callback = chosen.headers["Location"]
    async with app.session.get(callback, allow_redirects=False) as ended:
        return ended.status, ended.headers["Location"]


async def test_a_callback_that_this_browser_did_not_begin_signs_nobody_in(app: SignedApp) -> None:
    """Else somebody could sign a victim in to their own account."""
    async with app.session.get(f"{app.url}/.auth/login/aad", allow_redirects=False) as begun:
        page = begun.headers["Location"]
    async with app.session.get(f"{page}&account={MAKER}", allow_redirects=False) as chosen:
        callback = chosen.headers["Location"]
    app.session.cookie_jar.clear()

    async with app.session.get(callback, allow_redirects=False) as ended:
        assert ended.status == 401

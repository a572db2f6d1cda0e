"""Test how people and programs sign in through App Service authentication.

The local host plays App Service, the local tenant plays Entra, and Microsoft's worker runs the app.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import aiohttp
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from functions.forms import FORM
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.endpoints import issue_application_token, issue_user_token
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from tests.functional.app.test_triggers_host import build_app_settings
from tests.functional.scenarios.app_calls import build_sign_in_header
from tests.local_cloud.functions_host.functions_host_process import KEY, ROOT, run_host
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    APP,
    BAP_AUDIENCE,
    MAKER,
    SEED,
    TENANT_ID,
    UNLICENSED,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
        "requireAuthentication": False,
        "unauthenticatedClientAction": "AllowAnonymous",
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
    """The running app, and the local tenant in which people sign in."""

    url: str
    tenant: Tenant
    server: TenantServer
    session: aiohttp.ClientSession

    async def get(self, path: str = "api/kill-switch", **headers: str) -> tuple[int, Any]:
        """Send a GET request. Return the status, and the target of a redirect or the JSON."""
        async with self.session.get(
            f"{self.url}/{path}", headers=headers, allow_redirects=False
        ) as reply:
            if reply.status == 302:
                return reply.status, reply.headers["Location"]
            return reply.status, await reply.json(content_type=None)

    def build_token_header(self, object_id: str, audience: str = API_CLIENT) -> dict[str, str]:
        token = issue_user_token(self.tenant, object_id, audience, API_CLIENT)
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def run_signed_app(
    folder: Path, authentication: Any = AUTHENTICATION, *, key_roles: str = ""
) -> AsyncIterator[SignedApp]:
    """Run the app in the local host. Function keys have no roles unless `key_roles` names some."""
    tenant, description = Tenant(), deepcopy(SEED)
    description["directory"]["applications"].append(REGISTRATION)
    description["directory"]["deviceCodeUsers"] = {API_CLIENT: ADMIN}
    seed(tenant, description)
    async with TenantServer(tenant) as server:
        settings = build_app_settings(folder) | {
            "CMK_FUNCTION_KEY_ROLES": key_roles,
            "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(authentication),
            "CMK_TENANT_ID": description["directory"]["tenantId"],
            "CMK_SIGN_IN_CLIENT_ID": API_CLIENT,
            "LOCAL_SIGN_IN_PAGE": f"{server.control_url}/sign-in",
            "HTTPS_PROXY": server.proxy_url,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": server.ca_file,
            "IDENTITY_ENDPOINT": server.identity_endpoint,
            "IDENTITY_HEADER": server.identity_header,
        }
        async with (
            run_host(folder, ROOT, **settings) as host,
            aiohttp.ClientSession(cookie_jar=build_cookie_jar()) as session,
        ):
            yield SignedApp(url=host.url, tenant=tenant, server=server, session=session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unchanged_app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignedApp]:
    """Yield the app for the tests of this module that change no rows."""
    async with run_signed_app(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def app(unchanged_app: SignedApp) -> AsyncIterator[SignedApp]:
    """Yield the app of `unchanged_app` with a browser that has no cookies."""
    async with aiohttp.ClientSession(cookie_jar=build_cookie_jar()) as session:
        yield replace(unchanged_app, session=session)


@pytest_asyncio.fixture(loop_scope="module")
async def new_app(tmp_path: Path) -> AsyncIterator[SignedApp]:
    """Yield an app for one test, which may change rows."""
    async with run_signed_app(tmp_path) as app:
        yield app


def build_cookie_jar() -> aiohttp.CookieJar:
    """Return a cookie jar that also keeps the cookies of an IP address."""
    return aiohttp.CookieJar(unsafe=True)


#: What a browser says of an address that a person opens.
OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Accept": "text/html,*/*;q=0.8"}
#: And of a form that it sends from a page of the app.
SENT = OPENED | {"Sec-Fetch-Site": "same-origin", "Content-Type": FORM}


async def sign_in(app: SignedApp, upn: str, path: str = "/api/kill-switch") -> tuple[int, Any]:
    async with app.session.get(f"{app.url}{path}", headers=OPENED) as page:
        text = await page.text()
        assert "choose who you are" in text, text
        address = page.url
    links = dict(re.findall(r'<a href="([^"]+)">([^<]+)</a>', text))
    (link,) = [unescape(link) for link, name in links.items() if name == upn]
    async with app.session.get(f"{address.with_query(None)}{link}") as reply:
        return reply.status, await reply.json(content_type=None)


async def find_sign_out_link(app: SignedApp, url: str, **headers: str) -> str:
    """Return the address that ends the session, or "" if the page contains no link to it."""
    async with app.session.get(url, headers=headers) as reply:
        found = re.search(r'href="([^"]+)">Sign out<', await reply.text())
        return unescape(found[1]) if found else ""


async def test_browser_signs_in_and_returns_to_its_page(app: SignedApp) -> None:
    status, document = await sign_in(app, "maker@contoso.example")

    assert (status, document["is_on"]) == (200, False)
    assert (await app.get())[0] == 200
    async with app.session.put(
        f"{app.url}/api/kill-switch", json={"is_on": True, "justification": "a drill"}
    ) as reply:
        assert reply.status == 403  # a reader
    page = f"{app.url}/api/dashboard"
    status, address = await app.get((await find_sign_out_link(app, page, **OPENED))[1:])
    assert status == 302
    assert address.startswith(f"{app.server.control_url}/sign-in/{TENANT_ID}/oauth2/v2.0/logout?")
    assert unquote(address).endswith(f"={app.url}/.auth/logout/complete")
    assert (await app.get())[0] == 401


async def test_page_load_is_redirected_to_the_sign_in(app: SignedApp) -> None:
    page = "/api/dashboard/remediations/1?state=blocked"
    targets = {
        "api/dashboard": "/api/dashboard",
        "api/remediations/1/evidence": "/api/remediations/1/evidence",
        f"{page[1:]}&code=key": page,
    }
    for path, target in targets.items():
        status, location = await app.get(path, **OPENED)

        address = urlsplit(location)
        assert (status, address.netloc, address.path) == (302, "", "/.auth/login/aad")
        assert dict(parse_qsl(address.query)) == {"post_login_redirect_uri": target}


async def test_program_without_sign_in_gets_a_problem_document(app: SignedApp) -> None:
    """A program would read the sign-in page as its answer."""
    script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"}
    for headers in (
        {},
        {"Accept": "application/json"},
        {"Authorization": "Bearer expired", "Accept": "text/html"},
        script,
        build_sign_in_header("admin@contoso.example"),
    ):
        async with app.session.get(
            f"{app.url}/api/kill-switch", headers=headers, allow_redirects=False
        ) as reply:
            assert (reply.status, reply.content_type) == (401, "application/problem+json"), headers
            assert reply.headers["WWW-Authenticate"] == "Bearer"
            assert "cmkflow login" in (await reply.json(content_type=None))["fix"]


async def test_live_update_without_sign_in_is_answered_401(app: SignedApp) -> None:
    """A redirect would lead the script to another host."""
    asked = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    async with app.session.get(
        f"{app.url}/api/dashboard", headers=asked, allow_redirects=False
    ) as reply:
        assert (reply.status, reply.content_type) == (401, "text/html")


async def test_form_of_an_ended_session_can_be_sent_again_after_sign_in(app: SignedApp) -> None:
    url = f"{app.url}/api/remediations/abc/cancel"
    async with app.session.post(
        url, data="accept_replay=true&other=x", headers=SENT, allow_redirects=False
    ) as reply:
        text = await reply.text()
        assert (reply.status, reply.content_type) == (401, "text/html")
        assert reply.headers["Cache-Control"] == "no-store"
        assert "form-action 'self'" in reply.headers["Content-Security-Policy"]
    assert "Nothing was changed." in text
    assert re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text) == [
        ("Remediation", "#abc"),
        ("Polling flows may process events again", "yes"),
    ]
    assert "<h2>Cancel remaining flows</h2>" in text
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', text)
    kept = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
    assert (action, kept) == ("/api/remediations/abc/cancel", [("accept_replay", "true")])
    login = unescape(re.findall(r'<a href="(/\.auth/login/aad[^"]+)"', text)[0])

    await sign_in(app, "admin@contoso.example", login)
    async with app.session.post(
        f"{app.url}{action}", data=urlencode(kept), headers=SENT | {"Referer": url}
    ) as reply:
        # It reaches the use case: there is no such remediation.
        assert reply.status == 404
        assert "/api/dashboard/remediations/abc" in await reply.text()


async def test_form_of_another_site_and_large_form_are_not_repeated(app: SignedApp) -> None:
    fields = {"Sec-Fetch-Site": "same-origin"}
    for headers, body in (
        ({"Sec-Fetch-Site": "cross-site"}, "accept_replay=true"),
        ({"Sec-Fetch-Site": "same-site"}, "accept_replay=true"),
        ({"Sec-Fetch-Site": ""}, "accept_replay=true"),
        (fields, "flow_ids[]=" + "a" * 262_144),
    ):
        async with app.session.post(
            f"{app.url}/api/remediations/abc/rollback", data=body, headers=SENT | headers
        ) as reply:
            text = await reply.text()
            assert reply.status == 401
            assert "<form" not in text
            assert len(text) < 10_000


async def test_repeated_form_contains_no_markup_and_no_signature(app: SignedApp) -> None:
    url = f"https://p.logic.azure.com/workflows/{'a' * 32}/triggers/m/paths/invoke?sig={'s' * 43}"
    fields = {"justification": f'"><script>alert(1)</script> {url}', "issue": "a gap"}
    async with app.session.post(
        f"{app.url}/api/environments/abc/ignored-issues", data=urlencode(fields), headers=SENT
    ) as reply:
        text = await reply.text()
    assert reply.status == 401
    assert "a gap" in text
    assert "<script>alert" not in text
    assert "sssss" not in text


async def test_account_without_a_role_is_not_redirected_to_the_sign_in(app: SignedApp) -> None:
    """Without a token store, App Service answers 404 to `/.auth/me` and `/.auth/refresh`."""
    await sign_in(app, "trainee@contoso.example")

    async with app.session.get(
        f"{app.url}/api/dashboard", headers=OPENED, allow_redirects=False
    ) as reply:
        assert reply.status == 403
    for path in ("me", "refresh", "other"):
        async with app.session.get(f"{app.url}/.auth/{path}") as reply:
            assert reply.status == 404


async def test_account_without_a_role_is_rejected(app: SignedApp) -> None:
    status, document = await sign_in(app, "trainee@contoso.example")

    assert status == 403
    assert "trainee@contoso.example" in document["detail"]
    assert (await app.get(**app.build_token_header(UNLICENSED)))[0] == 403


async def test_token_names_the_person_of_a_request(new_app: SignedApp) -> None:
    async with new_app.session.put(
        f"{new_app.url}/api/kill-switch",
        json={"is_on": True, "changed_by": "somebody", "justification": "a drill"},
        headers=new_app.build_token_header(ADMIN),
    ) as reply:
        assert (await reply.json())["changed_by"] == "admin@contoso.example"


async def test_managed_identity_with_a_role_is_accepted(new_app: SignedApp) -> None:
    token = issue_application_token(new_app.tenant, APP, f"api://{API_CLIENT}")
    async with new_app.session.put(
        f"{new_app.url}/api/kill-switch",
        json={"is_on": True, "justification": "a drill"},
        headers={"Authorization": f"Bearer {token}"},
    ) as reply:
        assert (await reply.json())["changed_by"].startswith("application ")


async def test_forged_principal_headers_are_removed(app: SignedApp) -> None:
    forged = build_sign_in_header("admin@contoso.example")
    assert (await app.get(**forged))[0] == 401

    async with app.session.put(
        f"{app.url}/api/kill-switch",
        json={"is_on": True, "justification": "a drill"},
        headers=forged | app.build_token_header(MAKER),
    ) as reply:
        assert reply.status == 403


async def test_function_key_and_sign_in_have_separate_roles(tmp_path: Path) -> None:
    async with run_signed_app(tmp_path, key_roles="reader") as app:
        key, change = (
            {"x-functions-key": KEY},
            {"is_on": True, "changed_by": "duty", "justification": "a drill"},
        )
        url = f"{app.url}/api/kill-switch"

        assert (await app.get(**key))[0] == 200
        assert (await app.get(f"api/kill-switch?code={KEY}"))[0] == 200
        async with app.session.put(url, json=change, headers=key) as reply:
            assert reply.status == 403
        for wrong in ({}, {"x-functions-key": "wrong"}):
            async with app.session.get(url, headers=wrong) as reply:
                assert (reply.status, reply.content_type) == (401, "application/problem+json")
        async with app.session.get(
            f"{app.url}/api/function-key", headers={"x-functions-key": "wrong"}
        ) as reply:
            assert reply.status == 401

        async with app.session.put(
            url, json=change, headers=app.build_token_header(ADMIN)
        ) as reply:
            assert (await reply.json())["changed_by"] == "admin@contoso.example"
        page = f"{app.url}/api/dashboard/remediations"
        assert await find_sign_out_link(app, page, **OPENED, **key) == ""
        assert (await sign_in(app, "maker@contoso.example"))[0] == 200
        async with app.session.get(page, headers=OPENED) as reply:
            assert reply.status == 200
            text = await reply.text()
            assert 'title="maker@contoso.example. Roles: reader">maker@contoso.example<' in text
        assert await find_sign_out_link(app, page, **OPENED) == "/.auth/logout"


async def test_app_ignores_forged_headers_without_app_service_authentication(
    tmp_path: Path,
) -> None:
    """Without App Service authentication, no platform removes these headers."""
    off = AUTHENTICATION | {"platform": {"enabled": False}}
    async with run_signed_app(tmp_path, off) as app:
        forged = build_sign_in_header("admin@contoso.example")

        status, document = await app.get(**forged)

        assert status == 401
        assert "Sign-in is not set up" in document["detail"]


async def test_invalid_tokens_are_rejected(app: SignedApp) -> None:
    for_another = app.build_token_header(ADMIN, BAP_AUDIENCE)["Authorization"]
    claims = jwt.decode(
        app.build_token_header(ADMIN)["Authorization"].removeprefix("Bearer "),
        options={"verify_signature": False},
    )
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = [
        jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "local-tenant"}),
        jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "another"}),
        jwt.encode(claims, "", algorithm="none"),
        app.tenant.tokens.issue_for_application(claims | {"exp": 1}),
        app.tenant.tokens.issue_for_application(claims | {"iss": "https://elsewhere"}),
        "no token",
    ]
    for header in (for_another, *(f"Bearer {one}" for one in forged)):
        async with app.session.get(
            f"{app.url}/api/kill-switch", headers={"Authorization": header}
        ) as reply:
            assert reply.status == 401, header
            assert reply.content_type == "application/problem+json"


async def test_sign_in_redirects_to_no_other_host(app: SignedApp) -> None:
    others = ("https://evil.example/", "//evil.example/", "/\\evil.example", "/%09/evil.example")
    for target in others:
        path = f"/.auth/login/aad?post_login_redirect_uri={target}"

        assert await sign_in_anywhere(app, path) == (302, "/")


async def sign_in_anywhere(app: SignedApp, path: str) -> tuple[int, str]:
    async with app.session.get(f"{app.url}{path}", allow_redirects=False) as begun:
        page = begun.headers["Location"]
    async with app.session.get(f"{page}&account={MAKER}", allow_redirects=False) as chosen:
        callback = chosen.headers["Location"]
    async with app.session.get(callback, allow_redirects=False) as ended:
        return ended.status, ended.headers["Location"]


async def test_callback_without_the_cookie_of_the_sign_in_is_rejected(app: SignedApp) -> None:
    """The cookie keeps an attacker from signing a victim in to the attacker's account."""
    async with app.session.get(f"{app.url}/.auth/login/aad", allow_redirects=False) as begun:
        page = begun.headers["Location"]
    async with app.session.get(f"{page}&account={MAKER}", allow_redirects=False) as chosen:
        callback = chosen.headers["Location"]
    app.session.cookie_jar.clear()

    async with app.session.get(callback, allow_redirects=False) as ended:
        assert ended.status == 401

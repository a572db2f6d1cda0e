"""Serve the pages with which people sign in to an application.

They choose an account without a password. The page is at Entra's address behind the proxy, and on
the control port for a browser without the proxy.
"""

import secrets
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory, PrincipalType, SimulatedPrincipal

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in to {application}</title>
<h1>Sign in to {application}</h1>
<p>This is the local tenant: choose who you are.</p>
<ul>{accounts}</ul>
</html>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The sign-in for which an authorization code was issued."""

    object_id: str
    client_id: str
    redirect_uri: str
    scope: str


class Codes:
    """The authorization codes that were issued and not redeemed yet."""

    def __init__(self) -> None:
        self._granted: dict[str, Grant] = {}

    def issue(self, grant: Grant) -> str:
        """Create a code for a sign-in. The code can be redeemed once."""
        code = secrets.token_urlsafe(24)
        self._granted[code] = grant
        return code

    def redeem(self, code: str) -> Grant | None:
        return self._granted.pop(code, None)


def build_sign_in_routes(prefix: str = "") -> list[Route]:
    return [
        Route(f"{prefix}/{{tenant_id}}/oauth2/v2.0/authorize", authorize),
        Route(f"{prefix}/{{tenant_id}}/oauth2/v2.0/logout", sign_out),
    ]


async def sign_out(request: Request) -> Response:
    """Answer a sign-out. There is no session to end."""
    target = request.query_params.get("post_logout_redirect_uri", "")
    clients = request.app.state.tenant.get_part(Directory).principals.values()
    if any(_is_registered(one, target) for one in clients):
        return RedirectResponse(target, 302)
    return PlainTextResponse("You have signed out.")


async def authorize(request: Request) -> Response:
    """Return the page with accounts. With `account`, redirect to the application with a code."""
    tenant: Tenant = request.app.state.tenant
    directory, asked = tenant.get_part(Directory), dict(request.query_params)
    client = directory.find_client(asked.get("client_id", ""))
    redirect_uri = asked.get("redirect_uri", "")
    # As in Entra: never a redirection to where the application has not said.
    if client is None or not _is_registered(client, redirect_uri):
        return PlainTextResponse("AADSTS50011: The redirect URI does not match.", 400)
    account = directory.principals.get(asked.pop("account", ""))
    if account is None or account.type != PrincipalType.USER:
        return HTMLResponse(_build_page(directory, client, asked))
    grant = Grant(
        object_id=account.object_id,
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=asked.get("scope", ""),
    )
    answer = {"code": tenant.get_part(Codes).issue(grant), "state": asked.get("state", "")}
    return RedirectResponse(f"{redirect_uri}?{urlencode(answer)}", 302)


def build_application_claims(directory: Directory, object_id: str, audience: str) -> dict[str, Any]:
    """Return the claims (v2.0) of a token for an application of the directory.

    They are empty for any other audience.
    """
    client = directory.find_client(audience.removeprefix("api://"))
    if client is None:
        return {}
    principal = directory.principals[object_id]
    claims = {
        "aud": client.client_id,
        "iss": f"https://login.microsoftonline.com/{directory.tenant_id}/v2.0",
        "oid": object_id,
        "sub": object_id,
        "tid": directory.tenant_id,
        "ver": "2.0",
    }
    if principal.type == PrincipalType.USER:
        claims |= {"preferred_username": principal.upn, "name": principal.name}
    roles = client.app_roles.get(object_id, [])
    return claims | ({"roles": roles} if roles else {})


def _is_registered(client: SimulatedPrincipal, redirect_uri: str) -> bool:
    return _without_port(redirect_uri) in map(_without_port, client.redirect_uris)


def _without_port(uri: str) -> str:
    """Return a loopback address without its port, because Entra ignores the port."""
    parts = urlsplit(uri)
    if parts.hostname in ("localhost", "127.0.0.1"):
        return parts._replace(netloc=parts.hostname).geturl()
    return uri


def _build_page(directory: Directory, client: SimulatedPrincipal, asked: dict[str, str]) -> str:
    accounts = [
        f'<li><a href="?{escape(urlencode(asked | {"account": one.object_id}))}">'
        f"{escape(one.upn or one.name)}</a>: "
        f"{escape(', '.join(client.app_roles.get(one.object_id, [])) or 'no role')}</li>"
        for one in directory.principals.values()
        if one.type == PrincipalType.USER
    ]
    return _PAGE.format(application=escape(client.name), accounts="".join(accounts))

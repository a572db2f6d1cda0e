"""Emulate App Service authentication with the action *Allow unauthenticated requests*.

Sources: learn.microsoft.com/azure/app-service/overview-authentication-authorization,
configure-authentication-user-identities and configure-authentication-customize-sign-in-out; the
settings are those of `authsettingsV2`.

A request with an invalid session or token reaches the app without the headers that identify its
sender.
"""

import base64
import json
import logging
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
from aiohttp import web
from multidict import CIMultiDict

from local_cloud.functions_host.host_settings import HostStartError

_LOGGER = logging.getLogger("host")
#: App Service gives its module the settings in this variable, and tells the app by the other.
CONFIGURATION = "WEBSITE_AUTH_V2_CONFIG_JSON"
ENABLED = "WEBSITE_AUTH_ENABLED"
#: Where a browser of this machine finds Entra's sign-in page; not in Azure. Empty: at the issuer.
SIGN_IN_PAGE = "LOCAL_SIGN_IN_PAGE"
#: What only App Service may say to the app.
_OWN_HEADERS = ("x-ms-client-principal", "x-ms-token-")
_COOKIE = "AppServiceAuthSession"
_SESSION_SECONDS = 8 * 3600
_LOGIN = "/.auth/login/aad"
_CALLBACK = f"{_LOGIN}/callback"
_SIGNED_OUT = "/.auth/logout/complete"
_EXCHANGE = "api://AzureADTokenExchange"
#: Claims that have another name in the header than in the token (the default claims mapping).
_NAMES = {
    "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    "sub": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
}

type Claims = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationSettings:
    issuer: str
    client_id: str
    audiences: tuple[str, ...]


def read_settings(environ: Mapping[str, str]) -> AuthenticationSettings | None:
    """Parse the settings of authentication; return None if it is off.

    Raises `HostStartError` if they are invalid or not emulated.
    """
    if not (text := environ.get(CONFIGURATION)):
        return None
    try:
        document = json.loads(text)
        if not document["platform"]["enabled"]:
            return None
        entra = document["identityProviders"]["azureActiveDirectory"]
        registration = entra["registration"]
        demand = document["globalValidation"]
        action = demand["unauthenticatedClientAction"]
        if demand["requireAuthentication"] or action != "AllowAnonymous":
            raise HostStartError(f"{CONFIGURATION}: this host plays AllowAnonymous, not {action}")
        return AuthenticationSettings(
            issuer=registration["openIdIssuer"],
            client_id=registration["clientId"],
            audiences=(
                registration["clientId"],
                *entra.get("validation", {}).get("allowedAudiences", ()),
            ),
        )
    except (ValueError, KeyError, TypeError) as err:
        raise HostStartError(f"{CONFIGURATION}: {type(err).__name__}: {err}") from err


class Authentication:
    def __init__(self, settings: AuthenticationSettings) -> None:
        """Create the middleware. The issuer of tokens is contacted only when a request needs it."""
        self._settings = settings
        self._endpoints: dict[str, str] = {}
        self._keys: dict[str, Any] = {}
        self._sessions: dict[str, Claims] = {}
        #: Sign-ins that have begun: `state` → where to go afterwards.
        self._begun: dict[str, str] = {}

    @web.middleware
    async def authenticate_request(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Answer requests to `/.auth/…`, and pass all others to the app.

        The app gets headers that identify the sender of a request, if it has a valid session or
        token.
        """
        match request.path.lower():
            case "/.auth/login/aad":
                return await self._begin_sign_in(request)
            case "/.auth/login/aad/callback":
                return await self._complete_sign_in(request)
            case "/.auth/logout":
                return await self._sign_out(request)
            case "/.auth/logout/complete":
                return web.Response(text="You have been signed out.")
            case path if path.startswith("/.auth/"):
                # `/.auth/me` and `/.auth/refresh` need the token store, which infra/ leaves off.
                return web.Response(status=404)
        try:
            claims = await self._read_claims(request)
        except jwt.PyJWTError as err:
            _LOGGER.warning("token not valid: %s", err)
            claims = None
        headers: CIMultiDict[str] = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if not name.lower().startswith(_OWN_HEADERS)
        )
        if claims is not None:
            headers.update(_build_principal_headers(claims))
        answered: web.StreamResponse = await handler(request.clone(headers=headers))
        return answered

    async def _read_claims(self, request: web.Request) -> Claims | None:
        """Return the claims of a request's session or token, or None if it has neither.

        Raises `PyJWTError` if the token is invalid.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._verify_token(token)
        session = self._sessions.get(request.cookies.get(_COOKIE, ""))
        return session if session and session["exp"] > time.time() else None

    async def _verify_token(self, token: str) -> Claims:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        if key_id not in self._keys:
            found = await self._send_request("GET", (await self._fetch_endpoint("jwks_uri")))
            self._keys = {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(found).keys}
        if key_id not in self._keys:
            raise jwt.InvalidKeyError("it is signed with a key that the issuer has not")
        claims: Claims = jwt.decode(
            token,
            self._keys[key_id],
            algorithms=["RS256"],
            audience=self._settings.audiences,
            issuer=self._settings.issuer,
            options={"require": ["exp", "aud", "iss"]},
        )
        return claims

    async def _begin_sign_in(self, request: web.Request) -> web.Response:
        target = _require_own_path(request.query.get("post_login_redirect_uri", "/"))
        state = secrets.token_urlsafe(16)
        self._begun[state] = target
        page = _build_browser_address(await self._fetch_endpoint("authorization_endpoint"))
        query = {
            "client_id": self._settings.client_id,
            "response_type": "code",
            "redirect_uri": _build_callback_url(request),
            "scope": "openid profile email",
            "state": state,
        }
        answer = _build_redirect(f"{page}?{urlencode(query)}")
        # Only the browser that began the sign-in may complete it.
        answer.set_cookie("Nonce", state, httponly=True, samesite="Lax", path=_CALLBACK)
        return answer

    async def _complete_sign_in(self, request: web.Request) -> web.Response:
        state = request.query.get("state", "")
        target = self._begun.pop(state, None)
        if target is None or request.cookies.get("Nonce") != state:
            return web.Response(status=401, text="This browser did not begin to sign in here.")
        answer = await self._send_request(
            "POST",
            await self._fetch_endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": request.query.get("code", ""),
                "redirect_uri": _build_callback_url(request),
                "client_id": self._settings.client_id,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": await self._request_assertion(),
            },
        )
        if "id_token" not in answer:
            text = f"Entra refuses: {answer.get('error_description')}"
            return web.Response(status=401, text=text)
        session = secrets.token_urlsafe(32)
        claims = await self._verify_token(answer["id_token"])
        self._sessions[session] = claims | {"exp": time.time() + _SESSION_SECONDS}
        found = _build_redirect(target)
        found.set_cookie(_COOKIE, session, httponly=True, samesite="Lax", path="/")
        return found

    async def _sign_out(self, request: web.Request) -> web.Response:
        self._sessions.pop(request.cookies.get(_COOKIE, ""), None)
        target = _require_own_path(request.query.get("post_logout_redirect_uri", _SIGNED_OUT))
        query = {"post_logout_redirect_uri": f"{request.scheme}://{request.host}{target}"}
        page = _build_browser_address(await self._fetch_endpoint("end_session_endpoint"))
        answer = _build_redirect(f"{page}?{urlencode(query)}")
        answer.del_cookie(_COOKIE)
        return answer

    async def _request_assertion(self) -> str:
        """Return the managed identity's token, which replaces a client secret."""
        answer = await self._send_request(
            "GET",
            f"{os.environ['IDENTITY_ENDPOINT']}?resource={_EXCHANGE}&api-version=2019-08-01",
            headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]},
        )
        return str(answer["access_token"])

    async def _fetch_endpoint(self, name: str) -> str:
        if not self._endpoints:
            address = f"{self._settings.issuer}/.well-known/openid-configuration"
            self._endpoints = await self._send_request("GET", address)
        return self._endpoints[name]

    @staticmethod
    async def _send_request(
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        # Through the proxy and with the certificates of the environment, as the app calls.
        async with (
            aiohttp.ClientSession(trust_env=True) as session,
            session.request(method, url, data=form, headers=headers) as answer,
        ):
            document: dict[str, Any] = await answer.json(content_type=None)
            return document


def _build_principal_headers(claims: Claims) -> dict[str, str]:
    """Return the headers with which App Service identifies the sender of a request."""
    listed = [
        {"typ": _NAMES.get(typ, typ), "val": str(value)}
        for typ, values in claims.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    principal = {
        "auth_typ": "aad",
        "claims": listed,
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    }
    return {
        "X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(principal).encode()).decode(),
        "X-MS-CLIENT-PRINCIPAL-ID": claims.get("oid", ""),
        "X-MS-CLIENT-PRINCIPAL-NAME": claims.get("preferred_username", ""),
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
    }


def _require_own_path(target: str) -> str:
    """Return `target` if it is a path of this app, else `/`.

    A redirect to another host would be an open redirect. Unprintable characters are rejected, too,
    because browsers ignore tabs in a URL.
    """
    is_own = target[:1] == "/" and target[1:2] not in ("/", "\\") and target.isprintable()
    return target if is_own else "/"


def _build_browser_address(address: str) -> str:
    """Return the address of an Entra page that a browser on this machine can reach."""
    local = os.environ.get(SIGN_IN_PAGE)
    return address.replace("https://login.microsoftonline.com", local) if local else address


def _build_callback_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}{_CALLBACK}"


def _build_redirect(location: str) -> web.Response:
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": location})

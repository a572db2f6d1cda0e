"""Says who calls the API: the only place that reads what the platform says of it."""

import base64
import json
from dataclasses import replace

import azure.functions as func

from functions.http_requests import RequestModel
from functions.problems import Forbidden, NotSignedIn
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.domain.trigger_urls.trigger_url import redact
from shared.ports import FunctionKeys
from shared.settings import AccessSettings

KEY_HEADER = "x-functions-key"
#: Base64 of JSON: learn.microsoft.com/azure/app-service/configure-authentication-user-identities.
PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"
#: The names that App Service gives to claims of Entra's, and Entra's own.
_ID = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_NAME = (
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "email",
    "name",
)
_APPLICATION = ("azp", "appid")
_ROLES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


async def principal_of(
    req: func.HttpRequest, settings: AccessSettings, keys: FunctionKeys
) -> Principal:
    """Return who calls; raises `NotSignedIn`, and `TransientError` for a key that cannot be
    checked.

    A header counts only where the platform signs in: elsewhere anybody can write it. If nobody is
    signed in, a function key counts where it has roles.
    """
    if settings.platform_signs_in and (encoded := req.headers.get(PRINCIPAL)):
        return _signed_in(encoded)
    if settings.function_key_roles and (key := _function_key(req)):
        if await keys.accepts(key):
            return Principal(roles=frozenset(settings.function_key_roles), kind=PrincipalKind.KEY)
        raise NotSignedIn(
            "The function key is not one of this app.",
            instruction="See which there are: az functionapp keys list. Or sign in: cmkflow login.",
            can_sign_in=settings.platform_signs_in,
        )
    if settings.platform_signs_in:
        raise _nobody(can_sign_in=True)
    if settings.function_key_roles:
        raise NotSignedIn(
            "The request has no function key.",
            instruction=f"Send it as the header {KEY_HEADER}, or have App Service authentication "
            "turned on (docs/deployment.md) and sign in.",
        )
    raise NotSignedIn(
        "Nobody can sign in: the platform does not authenticate, and no function key counts.",
        instruction="Turn App Service authentication on (docs/deployment.md), "
        "or set CMK_FUNCTION_KEY_ROLES.",
    )


def check_role(principal: Principal, role: Role) -> None:
    """Raise `Forbidden` where it has not the role."""
    if principal.may(role):
        return
    if principal.kind is PrincipalKind.KEY:
        raise Forbidden(
            f"The function key has not the role {role}.",
            instruction=f"Sign in; or add {role} to CMK_FUNCTION_KEY_ROLES.",
        )
    roles = ", ".join(sorted(principal.roles))
    raise Forbidden(
        f"{principal.name} has not the role {role}, but {roles or 'none'}.",
        instruction=f"Have somebody assign the app role {role} (Entra, Enterprise applications, "
        "Users and groups), then sign in again.",
    )


def is_own_page(req: func.HttpRequest) -> bool | None:
    """Say whether a page of the app makes a browser ask; None: nothing says so, as with a program.

    The browser says of which page (w3.org/TR/fetch-metadata); an older one names the origin alone.
    """
    site = req.headers.get("Sec-Fetch-Site", "")
    if site:
        return None if site == "none" else bool(site == "same-origin")
    origin = req.headers.get("Origin", "")
    return bool(origin.partition("://")[2] == req.headers.get("Host")) if origin else None


def check_origin(req: func.HttpRequest) -> None:
    """Raise `Forbidden` for a change that a page of another site makes a browser ask for.

    The browser sends the cookie of the one who is signed in along.
    """
    if req.method != "GET" and is_own_page(req) is False:
        raise Forbidden(
            "A page of another site asked for this change.",
            instruction="Open the app's own pages in a tab of their own; see who sent you there.",
        )


def source_of(req: func.HttpRequest) -> str:
    """Return where a request comes from: the address that the front end saw, and the program.

    The front end appends the address; what stands before it anybody may have written.
    """
    address = req.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return _text(" ".join(filter(None, (address, req.headers.get("User-Agent", "")))))


def named(principal: Principal, body: RequestModel) -> Principal:
    """Return the holder of a key with the name that they give themselves."""
    name = getattr(body, "by", None)
    if principal.kind is not PrincipalKind.KEY or not name:
        return principal
    return replace(principal, name=name)


def _signed_in(encoded: str) -> Principal:
    try:
        document = json.loads(base64.b64decode(encoded))
        claims = [(str(one["typ"]), str(one["val"])) for one in document["claims"]]
        provider = document["auth_typ"]
    except (ValueError, KeyError, TypeError):
        raise _nobody() from None
    identity = _first(claims, _ID)
    if provider != "aad" or not identity:
        raise _nobody()
    name = _first(claims, _NAME)
    return Principal(
        name=_text(name or f"application {_first(claims, _APPLICATION) or identity}"),
        id=_text(identity),
        roles=frozenset(Role(value) for typ, value in claims if typ in _ROLES and value in Role),
        kind=PrincipalKind.PERSON if name else PrincipalKind.MACHINE,
    )


def _function_key(req: func.HttpRequest) -> str:
    """Return the key where the Functions host looks for it: the header before the query."""
    return str(req.headers.get(KEY_HEADER) or req.params.get("code") or "")


def _nobody(*, can_sign_in: bool = False) -> NotSignedIn:
    # Who is signed in as something that the app does not take would be sent to sign in for ever.
    return NotSignedIn(
        "Nobody is signed in.",
        instruction="Sign in: cmkflow login; in a browser, open /.auth/login/aad.",
        can_sign_in=can_sign_in,
    )


def _first(claims: list[tuple[str, str]], types: tuple[str, ...]) -> str:
    """Return the value of the claim whose type is named first."""
    return next((value for one in types for typ, value in claims if typ == one), "")


def _text(value: str) -> str:
    """Return what can be kept in a row: half a character fits into none."""
    return redact(value).strip()[:200].encode("utf-8", "replace").decode()

"""Identify who sends a request. Only this module reads the authentication headers."""

import base64
import json
from dataclasses import replace

import azure.functions as func

from functions.http_requests import RequestModel
from functions.problems import Forbidden, NotSignedIn
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.domain.trigger_urls.trigger_url import redact
from shared.ports import FunctionKeys
from shared.settings import AccessSettings, SignInSettings

KEY_HEADER = "x-functions-key"
#: The sender of requests to endpoints that need no sign-in.
ANONYMOUS = Principal(roles=frozenset(), kind=PrincipalKind.FUNCTION_KEY)
#: Base64-encoded JSON, see
#: learn.microsoft.com/azure/app-service/configure-authentication-user-identities.
PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"
#: Claim types of App Service, and the original names of Entra.
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


async def identify_principal(
    req: func.HttpRequest, settings: AccessSettings, keys: FunctionKeys
) -> Principal:
    """Return who sends a request.

    Raises `NotSignedIn`, or `TransientError` if a function key cannot be checked. The header with
    the signed-in principal counts only if App Service authentication sets it, because otherwise
    anyone could send it. Without a sign-in, a function key counts if settings assign roles to keys.
    """
    if signed_in := find_signed_in_principal(req, settings):
        return signed_in
    if settings.function_key_roles and (key := _get_function_key(req)):
        if await keys.accepts(key):
            return Principal(
                roles=frozenset(settings.function_key_roles), kind=PrincipalKind.FUNCTION_KEY
            )
        raise NotSignedIn(
            "The function key is not valid for this app.",
            fix="List the keys: az functionapp keys list. Or sign in: cmkflow login.",
            can_sign_in=settings.has_app_service_authentication,
        )
    if settings.has_app_service_authentication:
        raise _build_not_signed_in_error(can_sign_in=True)
    if settings.function_key_roles:
        raise NotSignedIn(
            "The request has no function key.",
            fix=f"Send the key in the header {KEY_HEADER}, or turn App Service "
            "authentication on (docs/deployment.md) and sign in.",
        )
    raise NotSignedIn(
        "Sign-in is not set up: App Service authentication is off and function keys have no role.",
        fix="Turn App Service authentication on (docs/deployment.md), "
        "or set CMK_FUNCTION_KEY_ROLES.",
    )


def find_signed_in_principal(req: func.HttpRequest, settings: SignInSettings) -> Principal | None:
    """Return the principal whom App Service signed in, or None.

    Raises `NotSignedIn` if the header with the principal cannot be read.
    """
    encoded = req.headers.get(PRINCIPAL) if settings.has_app_service_authentication else None
    return _parse_signed_in_principal(encoded) if encoded else None


def require_role(principal: Principal, role: Role) -> None:
    """Raise `Forbidden` unless the principal has the role."""
    if principal.has_role(role):
        return
    if principal.kind is PrincipalKind.FUNCTION_KEY:
        raise Forbidden(
            f"The function key does not have the role {role}.",
            fix=f"Sign in; or add {role} to CMK_FUNCTION_KEY_ROLES.",
        )
    roles = ", ".join(sorted(principal.roles))
    raise Forbidden(
        f"{principal.name} does not have the role {role}. Roles: {roles}."
        if roles
        else f"{principal.name} has no role in this app. The role {role} is required.",
        fix=f"Ask an administrator to assign the app role {role} (Entra, Enterprise "
        "applications, Users and groups), then sign in again.",
    )


def is_from_own_page(req: func.HttpRequest) -> bool | None:
    """Return whether a page of this app made the browser send the request, or None if that is
    unknown.

    Browsers report the site (w3.org/TR/fetch-metadata), older ones only the origin. Other programs
    report nothing.
    """
    site = req.headers.get("Sec-Fetch-Site", "")
    if site:
        return None if site == "none" else bool(site == "same-origin")
    origin = req.headers.get("Origin", "")
    return bool(origin.partition("://")[2] == req.headers.get("Host")) if origin else None


def require_own_origin(req: func.HttpRequest) -> None:
    """Raise `Forbidden` if a page of another site requests a change.

    The browser sends the session cookie with such a request.
    """
    if req.method != "GET" and is_from_own_page(req) is False:
        raise Forbidden(
            "This request came from a page of another site.",
            fix="Open the dashboard in a new tab and repeat the action there.",
        )


def format_request_source(req: func.HttpRequest) -> str:
    """Return the address and user agent of the client, for the audit log.

    Takes the last entry of `X-Forwarded-For`, which the front end adds. The other entries are not
    reliable.
    """
    address = req.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return _make_storable(" ".join(filter(None, (address, req.headers.get("User-Agent", "")))))


#: Members of request bodies in which the holder of a function key says who makes the request.
_NAME_MEMBERS = (
    "approved_by",
    "cancelled_by",
    "changed_by",
    "confirmed_by",
    "requested_by",
    "started_by",
)


def find_requester_member(body: type[RequestModel]) -> str:
    """Return the member of a request body that names the requester, or an empty text if there is
    none.
    """
    return next((member for member in _NAME_MEMBERS if member in body.model_fields), "")


def with_given_name(principal: Principal, body: RequestModel) -> Principal:
    """Return the principal with the name that the request body gives, if it has only a function
    key.
    """
    member = find_requester_member(type(body))
    name = getattr(body, member) if member else None
    if principal.kind is not PrincipalKind.FUNCTION_KEY or not name:
        return principal
    return replace(principal, name=name)


def _parse_signed_in_principal(encoded: str) -> Principal:
    try:
        document = json.loads(base64.b64decode(encoded))
        claims = [(str(one["typ"]), str(one["val"])) for one in document["claims"]]
        provider = document["auth_typ"]
    except (ValueError, KeyError, TypeError):
        raise _build_not_signed_in_error() from None
    identity = _find_first_claim(claims, _ID)
    if provider != "aad" or not identity:
        raise _build_not_signed_in_error()
    name = _find_first_claim(claims, _NAME)
    return Principal(
        name=_make_storable(
            name or f"application {_find_first_claim(claims, _APPLICATION) or identity}"
        ),
        id=_make_storable(identity),
        roles=frozenset(Role(value) for typ, value in claims if typ in _ROLES and value in Role),
        kind=PrincipalKind.USER if name else PrincipalKind.APPLICATION,
    )


def _get_function_key(req: func.HttpRequest) -> str:
    return str(req.headers.get(KEY_HEADER) or req.params.get("code") or "")


def _build_not_signed_in_error(*, can_sign_in: bool = False) -> NotSignedIn:
    # `can_sign_in` is False for identities that the app rejects; they would be redirected for ever.
    return NotSignedIn(
        "You are not signed in.",
        fix="Sign in with cmkflow login, or open /.auth/login/aad in a browser.",
        can_sign_in=can_sign_in,
    )


def _find_first_claim(claims: list[tuple[str, str]], types: tuple[str, ...]) -> str:
    return next((value for one in types for typ, value in claims if typ == one), "")


def _make_storable(value: str) -> str:
    """Return the text redacted, shortened and without unpaired surrogates, so that a row can store
    it.
    """
    return redact(value).strip()[:200].encode("utf-8", "replace").decode()

"""Serve the parts of Entra ID that unmodified msal and azure-identity need to get tokens."""

import base64
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import LIFETIME, SimulatedCaller
from local_cloud.tenant.entra.directory import Directory, PrincipalType, SimulatedPrincipal
from local_cloud.tenant.entra.sign_in import Codes, build_application_claims, build_sign_in_routes

HOSTS = ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com")

_AUTHORITY = "https://login.microsoftonline.com"
#: For the tenant of the account that signs in.
_ANY_TENANT = frozenset({"common", "organizations"})
_DEVICE_CODE_LIFETIME = 900
#: What a managed identity's token is for that stands for an application.
EXCHANGE = "api://AzureADTokenExchange"


def build_routes(_: Tenant) -> list[Route]:
    return [
        Route("/common/discovery/instance", discover_instance),
        Route("/{tenant_id}/v2.0/.well-known/openid-configuration", get_openid_configuration),
        Route("/{tenant_id}/.well-known/openid-configuration", get_openid_configuration),
        Route("/{tenant_id}/discovery/v2.0/keys", get_public_keys),
        *build_sign_in_routes(),
        Route("/{tenant_id}/oauth2/v2.0/token", issue_token, methods=["POST"]),
        Route("/{tenant_id}/oauth2/v2.0/devicecode", start_device_code, methods=["POST"]),
    ]


async def discover_instance(_: Request) -> Response:
    """Return the host names of Entra's cloud. Msal requests them before it trusts an authority."""
    discovery = f"{_AUTHORITY}/common/v2.0/.well-known/openid-configuration"
    return JSONResponse(
        {
            "tenant_discovery_endpoint": discovery,
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": "login.microsoftonline.com",
                    "preferred_cache": "login.windows.net",
                    "aliases": list(HOSTS),
                }
            ],
        }
    )


async def get_openid_configuration(request: Request) -> Response:
    tenant: Tenant = request.app.state.tenant
    asked = request.path_params["tenant_id"]
    if asked.lower() not in {*_ANY_TENANT, tenant.get_part(Directory).tenant_id.lower()}:
        return _build_error("invalid_tenant", f"AADSTS90002: Tenant '{asked}' not found.")
    base = f"{_AUTHORITY}/{request.path_params['tenant_id']}"
    return JSONResponse(
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"{base}/v2.0",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }
    )


async def get_public_keys(request: Request) -> Response:
    tenant: Tenant = request.app.state.tenant
    return JSONResponse(tenant.tokens.build_public_keys())


async def start_device_code(request: Request) -> Response:
    """Return a device code to an application of the directory.

    The user whom the directory names for device codes enters it at once.
    """
    tenant: Tenant = request.app.state.tenant
    form = await _read_form(request)
    if tenant.get_part(Directory).find_client(form.get("client_id", "")) is None:
        return _build_unknown_client_error()
    code = secrets.token_urlsafe(16)
    _get_device_codes(request)[code] = (form.get("client_id", ""), form.get("scope", ""))
    user_code = secrets.token_hex(4).upper()
    return JSONResponse(
        {
            "user_code": user_code,
            "device_code": code,
            "verification_uri": "https://microsoft.com/devicelogin",
            "expires_in": _DEVICE_CODE_LIFETIME,
            "interval": 1,
            "message": "To sign in, open https://microsoft.com/devicelogin and enter " + user_code,
        }
    )


async def issue_token(request: Request) -> Response:
    """Return tokens for a grant.

    Supported are client_credentials, refresh_token, device_code and authorization_code.
    """
    form = await _read_form(request)
    match form.get("grant_type"):
        case "client_credentials":
            return _answer_application(request, form)
        case "refresh_token":
            return _answer_refresh_token(request, form)
        case "urn:ietf:params:oauth:grant-type:device_code" | "device_code":
            return _answer_device_code(request, form)
        case "authorization_code":
            return _answer_authorization_code(request, form)
        case other:
            return _build_error(
                "unsupported_grant_type", f"AADSTS70003: grant '{other}' is unknown."
            )


async def _read_form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


def _answer_application(request: Request, form: dict[str, str]) -> Response:
    tenant: Tenant = request.app.state.tenant
    client = tenant.get_part(Directory).find_client(form.get("client_id", ""))
    if client is None:
        return _build_unknown_client_error()
    if client.secret is None or not secrets.compare_digest(
        client.secret, form.get("client_secret", "")
    ):
        return _build_error("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
    audience = parse_audience(form.get("scope", ""))
    token = issue_application_token(tenant, client.object_id, audience)
    return JSONResponse(
        {"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME}
        | {"access_token": token}
    )


def issue_application_token(tenant: Tenant, object_id: str, audience: str) -> str:
    directory = tenant.get_part(Directory)
    if claims := build_application_claims(directory, object_id, audience):
        client_id = directory.principals[object_id].client_id
        return tenant.tokens.issue_for_application(claims | {"azp": client_id})
    caller = SimulatedCaller(
        object_id=object_id,
        app_id=directory.principals[object_id].client_id,
        is_delegated=False,
        audience=audience,
        tenant_id=directory.tenant_id,
    )
    return tenant.tokens.issue(caller)


def issue_user_token(tenant: Tenant, object_id: str, audience: str, client_id: str = "") -> str:
    directory = tenant.get_part(Directory)
    if claims := build_application_claims(directory, object_id, audience):
        return tenant.tokens.issue_for_application(claims | {"azp": client_id, "scp": "user"})
    user = directory.principals.get(object_id)
    caller = SimulatedCaller(
        object_id=object_id,
        app_id=client_id,
        is_delegated=True,
        audience=audience,
        tenant_id=directory.tenant_id,
        upn=user.upn if user else "",
        name=user.name if user else "",
    )
    return tenant.tokens.issue(caller)


def _answer_refresh_token(request: Request, form: dict[str, str]) -> Response:
    tenant: Tenant = request.app.state.tenant
    found = tenant.tokens.redeem_refresh_token(form.get("refresh_token", ""))
    if found is None or found[1] != form.get("client_id"):
        return _build_error("invalid_grant", "AADSTS700082: The refresh token has expired.")
    return _answer_delegated(tenant, found[0], form)


def _answer_device_code(request: Request, form: dict[str, str]) -> Response:
    tenant: Tenant = request.app.state.tenant
    started = _get_device_codes(request).pop(form.get("device_code", ""), None)
    directory = tenant.get_part(Directory)
    client_id = form.get("client_id", "")
    user = directory.device_code_users.get(client_id, directory.device_code_user)
    if started is None or user is None:
        return _build_error("expired_token", "AADSTS70019: Verification code expired.")
    return _answer_delegated(tenant, user, {"scope": started[1], **form})


def _answer_authorization_code(request: Request, form: dict[str, str]) -> Response:
    tenant: Tenant = request.app.state.tenant
    directory = tenant.get_part(Directory)
    granted = tenant.get_part(Codes).redeem(form.get("code", ""))
    client = directory.find_client(form.get("client_id", ""))
    asked = (form.get("client_id"), form.get("redirect_uri"))
    if granted is None or client is None or asked != (granted.client_id, granted.redirect_uri):
        return _build_error("invalid_grant", "AADSTS70008: The authorization code has expired.")
    if not _is_trusted(tenant, client, form.get("client_assertion", "")):
        return _build_error(
            "invalid_client", "AADSTS7000218: The client_assertion is missing.", 401
        )
    return _answer_delegated(tenant, granted.object_id, {"scope": granted.scope, **form})


def _is_trusted(tenant: Tenant, client: SimulatedPrincipal, assertion: str) -> bool:
    """Return whether a token is from a managed identity that the application trusts."""
    try:
        caller = tenant.tokens.read(assertion)
    except ValueError:
        return False
    return caller.audience == EXCHANGE and caller.object_id in client.federated_identities


def _answer_delegated(tenant: Tenant, object_id: str, form: dict[str, str]) -> Response:
    directory, client_id = tenant.get_part(Directory), form.get("client_id", "")
    user = directory.principals.get(object_id)
    if user is None or user.type != PrincipalType.USER:
        return _build_error("invalid_grant", "AADSTS50034: The user account does not exist.")
    scope = form.get("scope", "")
    claims = {
        "aud": client_id,
        "iss": f"{_AUTHORITY}/{directory.tenant_id}/v2.0",
        "oid": object_id,
        "sub": object_id,
        "tid": directory.tenant_id,
        "preferred_username": user.upn,
        "name": user.name,
    }
    claims |= build_application_claims(directory, object_id, client_id)
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": LIFETIME,
        "access_token": issue_user_token(tenant, object_id, parse_audience(scope), client_id),
        "refresh_token": tenant.tokens.remember_refresh_token(object_id, client_id),
        "id_token": tenant.tokens.issue_for_application(claims),
        "client_info": _build_client_info(object_id, directory.tenant_id),
    }
    return JSONResponse(answer)


def parse_audience(scope: str) -> str:
    """Return the audience in a scope. `https://host//.default` is the audience `https://host/`."""
    for part in scope.split():
        if "://" in part or part.endswith("/.default"):
            return part.rpartition("/")[0]
    return "00000003-0000-0000-c000-000000000000"


def _build_client_info(object_id: str, tenant_id: str) -> str:
    data = json.dumps({"uid": object_id, "utid": tenant_id}).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _get_device_codes(request: Request) -> dict[str, tuple[str, str]]:
    tenant: Tenant = request.app.state.tenant
    return tenant.get_part(_DeviceCodes).pending


class _DeviceCodes:
    """The issued device codes that are not redeemed: code → (client id, scope)."""

    def __init__(self) -> None:
        self.pending: dict[str, tuple[str, str]] = {}


def _build_unknown_client_error() -> Response:
    return _build_error(
        "unauthorized_client", "AADSTS700016: The application was not found in the directory."
    )


def _build_error(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)

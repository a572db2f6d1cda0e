"""Issue and verify access tokens, which identify a person or application, for one audience.

Tokens look like Entra's (three base64url parts, claims `aud iss tid oid appid idtyp|scp`). They are
signed with a secret of this process, so only the tenant can issue one. They expire by the machine's
time, because clients cache them by this time. An application that verifies its tokens itself gets
tokens with another signature: it requests the public key from the tenant.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.requests import Request

from local_cloud.tenant.core.platform_error import SimulatedPlatformError

#: Seconds that a token lasts.
LIFETIME = 3600
_KEY_ID = "local-tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCaller:
    #: Entra object id of the user, or of the application's service principal.
    object_id: str
    #: Client id of the application that asked for the token.
    app_id: str
    #: True for a user's token, False for one that an application got for itself.
    is_delegated: bool
    #: Audience as the token carries it.
    audience: str
    tenant_id: str
    #: User principal name and display name of a person; clients read them out of the token.
    upn: str = ""
    name: str = ""


@cache
def _create_signing_key() -> RSAPrivateKey:
    """Create the process's key once, because this takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenIssuer:
    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._refresh_tokens: dict[str, tuple[str, str]] = {}
        self._generation = 0

    def issue(self, caller: SimulatedCaller) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": caller.audience,
            "iss": f"https://sts.windows.net/{caller.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": caller.app_id,
            "oid": caller.object_id,
            "sub": caller.object_id,
            "tid": caller.tenant_id,
            "uti": secrets.token_hex(8),
            "ver": "1.0",
            "xms_generation": self._generation,
        }
        if caller.is_delegated:
            claims |= {"scp": "user_impersonation", "name": caller.name}
            claims |= {"upn": caller.upn, "unique_name": caller.upn}
        else:
            claims |= {"idtyp": "app"}
        return self._sign_claims(claims)

    def _sign_claims(self, claims: dict[str, Any]) -> str:
        head = _encode_base64(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
        body = _encode_base64(json.dumps(claims).encode())
        return f"{head}.{body}.{self._compute_signature(head, body)}"

    def issue_for_application(self, claims: dict[str, Any]) -> str:
        """Return a token with these claims that an application verifies with the public key."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + LIFETIME}
        return jwt.encode(
            times | claims, _create_signing_key(), algorithm="RS256", headers={"kid": _KEY_ID}
        )

    def build_public_keys(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set, for applications that verify tokens."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(_create_signing_key().public_key(), as_dict=True)
        return {"keys": [key | {"kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    def read(self, token: str) -> SimulatedCaller:
        """Return whom a token identifies.

        Raises `ValueError` if it is foreign, invalid or expired.
        """
        try:
            head, body, signature = token.split(".")
            claims = json.loads(_decode_base64(body))
        except (ValueError, binascii.Error) as error:
            raise ValueError("not a token of this tenant") from error
        if not hmac.compare_digest(signature, self._compute_signature(head, body)):
            raise ValueError("the token's signature is not this tenant's")
        if claims["exp"] <= time.time() or claims["xms_generation"] != self._generation:
            raise ValueError("the token has expired")
        return SimulatedCaller(
            object_id=claims["oid"],
            app_id=claims["appid"],
            is_delegated="scp" in claims,
            audience=claims["aud"],
            tenant_id=claims["tid"],
            upn=claims.get("upn", ""),
            name=claims.get("name", ""),
        )

    def expire_all(self) -> None:
        """Reject every access token that was issued until now, as after a revocation."""
        self._generation += 1

    def remember_refresh_token(self, object_id: str, app_id: str) -> str:
        token = secrets.token_urlsafe(32)
        self._refresh_tokens[token] = (object_id, app_id)
        return token

    def redeem_refresh_token(self, token: str) -> tuple[str, str] | None:
        """Return the object id and client id of a refresh token, or None if it is unknown."""
        return self._refresh_tokens.get(token)

    def revoke_refresh_tokens(self) -> None:
        """Reject all refresh tokens, as after users have changed their passwords."""
        self._refresh_tokens.clear()

    def _compute_signature(self, head: str, body: str) -> str:
        return _encode_base64(hmac.digest(self._secret, f"{head}.{body}".encode(), hashlib.sha256))


def require_token(request: Request, *audiences: str) -> SimulatedCaller:
    """Return whom the request's token identifies. Rejects (401) an invalid token or audience.

    Audiences are compared without final slashes and without case, as the platform does for its own
    APIs.
    """
    issuer: TokenIssuer = request.app.state.tenant.tokens
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _build_unauthenticated_error(
            "AuthenticationFailed", "The 'Authorization' header is missing."
        )
    try:
        caller = issuer.read(token)
    except ValueError as error:
        code = "ExpiredAuthenticationToken" if "expired" in str(error) else "AuthenticationFailed"
        raise _build_unauthenticated_error(
            code, f"The access token is invalid: {error}."
        ) from error
    if normalize_audience(caller.audience) not in map(normalize_audience, audiences):
        raise _build_unauthenticated_error(
            "InvalidAuthenticationToken",
            f"The access token is for the audience '{caller.audience}', which is not accepted.",
        )
    return caller


def normalize_audience(audience: str) -> str:
    return audience.lower().rstrip("/")


def _build_unauthenticated_error(code: str, message: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(401, code, message, headers={"WWW-Authenticate": "Bearer"})


def _encode_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

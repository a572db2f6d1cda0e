"""The two identities of the app, and what each is used for.

| capability | identity |
|---|---|
| environments (admin API) | application |
| reports, details, runs, permissions, start, stop (flow service, admin scope) | application |
| trigger URLs and requests as a co-owner (flow service, maker scope) | service account |
| Dataverse rows, on the owner's behalf where needed | application |
| Azure Resource Manager, Key Vault, Service Bus, storage | application |

The *application* is the managed identity of the Functions app. It is configured explicitly instead
of found by a credential chain: a chain could fall through to an identity with other permissions,
and each link of it takes time at the first request.

The *service account* is a user account with a licence, which signed in once by device code. msal's
cache with its refresh token is stored in a Key Vault secret.

Importing azure-identity and msal takes 130 ms, so they are imported with the first credential.

See platform.md#app-only-access.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from azure.core.credentials import AccessToken

from shared.errors import (
    CmkflowError,
    JobBlocked,
    NotFound,
    PlatformError,
    ServiceUnavailable,
    UnusableSetting,
)
from shared.ports import Secret, Secrets
from shared.reason import Reason

if TYPE_CHECKING:
    from azure.identity.aio import ManagedIdentityCredential
    from msal import PublicClientApplication

_SIGN_IN = "Sign the service account in again: `cmkflow service-account sign-in`."
_NO_ACCOUNT = "no account in the secret of CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET"
_JSON = "application/json"
#: Transient OAuth errors (RFC 6749, section 4.1.2.1).
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
_TIMEOUT = 15  # seconds


def build_application_credential(client_id: str) -> "ManagedIdentityCredential":
    """Return the app's managed identity. An empty `client_id` selects the system-assigned one."""
    from azure.identity.aio import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=client_id or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountSettings:
    """The settings with which the app signs in as the service account."""

    tenant_id: str
    #: Public client application used for the sign-in.
    client_id: str
    #: URL of the Key Vault secret with the token cache, without a version.
    cache_secret: str
    #: URL of the sign-in service.
    authority: str


class ServiceAccountCredential:
    """The service account as an azure-core credential."""

    def __init__(self, settings: ServiceAccountSettings, secrets: Secrets) -> None:
        """The token cache is read from `secrets` when the first token is requested."""
        from msal import SerializableTokenCache

        self._settings = settings
        self._secrets = secrets
        self._vault_url, self._secret_name = _split_secret_url(settings.cache_secret)
        self._cache = SerializableTokenCache()
        self._client: PublicClientApplication | None = None
        #: The account in the cache once read; reset when the cache changes.
        self._known: dict[str, Any] | None = None
        self._lock = asyncio.Lock()

    async def get_token(
        self, *scopes: str, claims: str | None = None, **_options: Any
    ) -> AccessToken:
        """Return a token. Raises `JobBlocked` if the service account must sign in again.

        With `claims`, requests a new token, because a service rejected the cached one.
        """
        async with self._lock:
            found = await self._acquire_silently(scopes, is_new=claims is not None)
            if "access_token" not in found:
                await (
                    self._load_token_cache()
                )  # someone may have signed in since this process read it
                found = await self._acquire_silently(scopes, is_new=claims is not None)
            await self._save_token_cache()
        if "access_token" not in found:
            raise self._build_token_error(str(found.get("error")))
        return AccessToken(found["access_token"], int(time.time()) + int(found["expires_in"]))

    async def read_object_id(self) -> str:
        """Return the service account's Entra object id.

        Raises `JobBlocked` if it is not signed in.
        """
        async with self._lock:
            account = await self._find_account()
            if account is None:
                await self._load_token_cache()
                account = await self._find_account()
        if account is None:
            raise self._build_sign_in_error(_NO_ACCOUNT)
        return str(account["local_account_id"])

    async def read_renewed_at(self) -> datetime | None:
        """Return when the newest refresh token was issued, or None if the cache does not say."""
        from msal import TokenCache

        kind = TokenCache.CredentialType.REFRESH_TOKEN
        async with self._lock:
            await self._get_client()
            given = [one.get("last_modification_time") for one in self._cache.search(kind)]
        known = [int(one) for one in given if one]
        return datetime.fromtimestamp(max(known), UTC) if known else None

    async def sign_in(self, scope: str, show: Callable[[str], None]) -> None:
        """Sign in by device code and save the token cache; `show` receives the instruction."""
        async with self._lock:
            client = await self._get_client()
            flow = await self._run_in_thread(partial(client.initiate_device_flow, [scope]))
            if "user_code" not in flow:
                raise PlatformError(
                    str(flow.get("error_description", "no device code")),
                    code=str(flow.get("error", "device_code")),
                    status=400,
                )
            show(flow["message"])
            found = await self._run_in_thread(partial(client.acquire_token_by_device_flow, flow))
            self._known = None
            if "access_token" not in found:
                raise self._build_token_error(str(found.get("error")))
            await self._save_token_cache()

    async def close(self) -> None:
        """Do nothing: msal keeps no open connections."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _acquire_silently(self, scopes: tuple[str, ...], *, is_new: bool) -> dict[str, Any]:
        account = await self._find_account()
        if account is None:
            return {"error": _NO_ACCOUNT}
        client = await self._get_client()
        found = await self._run_in_thread(
            partial(
                client.acquire_token_silent_with_error,
                list(scopes),
                account=account,
                force_refresh=is_new,
            )
        )
        return found or {"error": "no token"}

    async def _find_account(self) -> dict[str, Any] | None:
        if self._known is None:
            client = await self._get_client()
            accounts = await self._run_in_thread(client.get_accounts)
            self._known = accounts[-1] if accounts else None
        return self._known

    async def _get_client(self) -> "PublicClientApplication":
        """Return msal's client. The first call requests the sign-in service's endpoints."""
        if self._client is None:
            await self._load_token_cache()
            self._client = await self._run_in_thread(self._create_client)
        return self._client

    def _create_client(self) -> "PublicClientApplication":
        from msal import PublicClientApplication

        settings = self._settings
        try:
            return PublicClientApplication(
                settings.client_id,
                authority=f"{settings.authority}/{settings.tenant_id}",
                token_cache=self._cache,
                timeout=_TIMEOUT,
            )
        except ValueError as err:
            # For msal, a rate limit and a page of a proxy are the same error as an unknown tenant.
            if "HTTP status: 400" not in str(err.__context__):
                raise
            raise JobBlocked(
                f"{settings.authority} has no tenant {settings.tenant_id}.",
                fix="Correct CMK_TENANT_ID or CMK_CLOUD, deploy again (azd up), then retry.",
                code=Reason.SERVICE_ACCOUNT_SIGNED_OUT,
            ) from err

    async def _load_token_cache(self) -> None:
        try:
            secret = await self._secrets.read(self._vault_url, self._secret_name)
        except NotFound:
            return
        self._cache.deserialize(secret.value)
        self._known = None

    async def _save_token_cache(self) -> None:
        if not self._cache.has_state_changed:
            return
        secret = Secret(
            vault_url=self._vault_url,
            name=self._secret_name,
            value="",
            version="",
            content_type=_JSON,
            tags={},
        )
        await self._secrets.write(secret, self._cache.serialize())

    def _build_token_error(self, error: str) -> CmkflowError:
        if error in _PASSING:
            return ServiceUnavailable(f"the sign-in service is temporarily unavailable ({error})")
        return self._build_sign_in_error(error)

    def _build_sign_in_error(self, why: str) -> JobBlocked:
        other = self._describe_other_setting()
        return JobBlocked(
            f"The service account is not signed in ({other or why}).",
            fix=f"Correct that setting. Otherwise: {_SIGN_IN}" if other else _SIGN_IN,
            code=Reason.SERVICE_ACCOUNT_SIGNED_OUT,
        )

    def _describe_other_setting(self) -> str:
        """Return which setting differs from the stored sign-in, and how, or "" if none differs."""
        from msal import TokenCache

        kinds, settings = TokenCache.CredentialType, self._settings
        for one in self._cache.search(kinds.ACCOUNT):
            host, tenant = str(one["environment"]), str(one["realm"])
            if host != settings.authority.partition("://")[2]:
                return f"it signed in at {host}, which is not in the cloud of CMK_CLOUD"
            if self._client and tenant != self._client.authority.tenant:
                return f"it signed in to tenant {tenant}, which is not CMK_TENANT_ID"
        for one in self._cache.search(kinds.REFRESH_TOKEN):
            if one["client_id"] != settings.client_id:
                return f"it signed in with {one['client_id']}, not CMK_SERVICE_ACCOUNT_CLIENT_ID"
        return ""

    async def _run_in_thread(self, call: Callable[[], Any]) -> Any:
        """Run a blocking call of msal in a thread."""
        try:
            return await asyncio.to_thread(call)
        except (OSError, ValueError) as err:  # from `requests`, or for an answer that is not JSON
            host = self._settings.authority.partition("://")[2]
            raise ServiceUnavailable(f"Sign-in service: no connection to {host}") from err


def _split_secret_url(secret_url: str) -> tuple[str, str]:
    vault_url, separator, rest = secret_url.partition("/secrets/")
    name = rest.strip("/").partition("/")[0]
    if not separator or not name:
        raise UnusableSetting(
            "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET must be the URL of a Key Vault secret.",
            fix="Set it to that URL, or leave CMK_SERVICE_ACCOUNT_CLIENT_ID empty.",
        )
    return vault_url, name

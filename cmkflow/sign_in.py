"""Sign in to apps, store the sign-ins, and get tokens for requests.

A token is sent only to the URL for which the user signed in. Tokens are stored in the system's
keyring, or else in a file that only the user may read.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from cmkflow.profiles import find_config_folder, read_config_file, write_config_file
from shared.domain.clouds import CLOUDS, CloudName

_FILE = "sign-ins.json"


class SignInError(Exception):
    """A sign-in failed. The text says why and what to do."""

    def __init__(self, text: str, *, is_unavailable: bool = False) -> None:
        """`is_unavailable` says that the sign-in service does not answer."""
        super().__init__(text)
        self.is_unavailable = is_unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSession:
    """A stored sign-in for one app."""

    tenant_id: str
    #: Client id of the app registration that issues the app's tokens.
    client_id: str
    #: Audience of the app's access tokens; empty: the client id.
    audience: str = ""
    cloud: CloudName = CloudName.PUBLIC
    #: True for this machine's managed identity; False for a person, whose tokens are stored.
    is_machine: bool = False
    #: Client id of a user-assigned identity; empty for the system-assigned one.
    identity_client_id: str = ""
    #: Display name of the account.
    name: str = ""

    @property
    def authority(self) -> str:
        """Return the URL of the sign-in service."""
        return CLOUDS[self.cloud].authority_url


def read_sign_in_session(url: str) -> SignInSession | None:
    """Return the stored sign-in for the app at `url`, or None."""
    found = read_config_file(_FILE).get(_normalize_app_url(url))
    return SignInSession(**found) if found else None


def sign_in_person(
    url: str, who: SignInSession, *, show: Callable[[str], None] | None = None
) -> SignInSession:
    """Sign in a person and store the sign-in. Raises `SignInError` if that fails.

    `show` prints the instructions of a device code. Without it, a browser opens.
    """
    with _convert_msal_errors(who):
        client, scopes = _build_msal_client(who), _build_scopes(who)
        if show:
            flow = client.initiate_device_flow(scopes)
            if "user_code" not in flow:
                raise SignInError(f"Entra rejected the sign-in: {flow.get('error_description')}")
            show(flow["message"])
            answer = client.acquire_token_by_device_flow(flow)
        else:
            answer = client.acquire_token_interactive(scopes)
    return _store_sign_in(url, who, _require_token(answer))


def sign_in_machine(url: str, who: SignInSession) -> SignInSession:
    """Sign in with this machine's managed identity, and store the sign-in.

    Raises `SignInError` if that fails.
    """
    return _store_sign_in(url, who, _request_machine_token(who))


def sign_out(url: str) -> bool:
    """Delete the sign-in for an app and its tokens. Returns False if there was none.

    Raises `SignInError` if the stored tokens cannot be deleted.
    """
    who, kept = read_sign_in_session(url), read_config_file(_FILE)
    if who is None:
        return False
    if not who.is_machine:
        with _convert_msal_errors(who):
            client = _build_msal_client(who)
            for account in client.get_accounts(who.name):
                client.remove_account(account)
    del kept[_normalize_app_url(url)]
    write_config_file(_FILE, kept)
    return True


def request_token(url: str) -> str | None:
    """Return an access token for an app, or None if nobody has signed in to it. Raises
    `SignInError` if no token can be obtained.
    """
    who = read_sign_in_session(url)
    if who is None:
        return None
    if who.is_machine:
        return _request_machine_token(who)
    with _convert_msal_errors(who):
        client = _build_msal_client(who)
        accounts = client.get_accounts(who.name)
        answer = client.acquire_token_silent(_build_scopes(who), accounts[0]) if accounts else None
    return _require_token(answer or {"error_description": "the session has expired"})


def parse_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token. Its signature is not checked, so use them only for display."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _store_sign_in(url: str, who: SignInSession, token: str) -> SignInSession:
    claims = parse_claims(token)
    name = claims.get("preferred_username") or f"application {claims.get('azp', '')}"
    known = SignInSession(**{**asdict(who), "name": name})
    write_config_file(_FILE, {**read_config_file(_FILE), _normalize_app_url(url): asdict(known)})
    return known


@contextmanager
def _convert_msal_errors(who: SignInSession) -> Iterator[None]:
    import requests

    try:
        yield
    except requests.RequestException as err:
        if isinstance(err, requests.exceptions.SSLError):
            text = f"The certificate of {who.authority} is not trusted. Check HTTPS_PROXY."
        elif isinstance(err, requests.Timeout):
            text = f"{who.authority} does not answer in time. Check the network connection."
        else:
            text = f"Cannot connect to {who.authority}. Check the network connection."
        raise SignInError(text, is_unavailable=True) from None
    except ValueError:
        text = f"{who.authority} does not know this tenant. Set --tenant to the tenant id."
        raise SignInError(text) from None


def _build_msal_client(who: SignInSession) -> Any:
    import msal
    from msal_extensions import FilePersistence, PersistedTokenCache, build_encrypted_persistence

    file = str(find_config_folder() / "tokens")
    try:
        persistence = build_encrypted_persistence(file)
    except Exception:  # noqa: BLE001  # keyrings fail in different ways; the file is the fallback
        persistence = FilePersistence(file)  # created with mode 0600
    return msal.PublicClientApplication(
        who.client_id,
        authority=f"{who.authority}/{who.tenant_id}",
        token_cache=PersistedTokenCache(persistence),
    )


def _request_machine_token(who: SignInSession) -> str:
    import msal
    import requests

    identity = (
        msal.UserAssignedManagedIdentity(client_id=who.identity_client_id)
        if who.identity_client_id
        else msal.SystemAssignedManagedIdentity()
    )
    with requests.Session() as session:
        client = msal.ManagedIdentityClient(identity, http_client=session)
        try:
            return _require_token(
                client.acquire_token_for_client(resource=who.audience or who.client_id)
            )
        except (msal.ManagedIdentityError, requests.RequestException) as err:
            raise SignInError(f"This machine's managed identity does not answer: {err}") from None


def _require_token(answer: dict[str, Any]) -> str:
    if "access_token" not in answer:
        why = answer.get("error_description") or answer.get("error")
        raise SignInError(f"You are not signed in: {why}. Sign in: cmkflow login.")
    return str(answer["access_token"])


def _build_scopes(who: SignInSession) -> list[str]:
    return [f"{who.audience or who.client_id}/.default"]


def _normalize_app_url(url: str) -> str:
    return url.rstrip("/").removesuffix("/api").lower()

"""Who the command line is to the app: a sign-in for each app, and a token for each call.

Tokens are sent to the address alone that somebody signed in for. They are kept in the system's
keyring where there is one, else in a file that its owner alone reads. msal is imported when a
token is needed: commands that work offline do not pay for it.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

_AUTHORITY = "https://login.microsoftonline.com"


class SignInError(Exception):
    """Nobody could be signed in; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSession:
    """Who signed in for one app."""

    tenant_id: str
    #: Of the registration that the app's tokens are for.
    client_id: str
    #: True: this machine's managed identity; False: a person, whose tokens are kept.
    is_machine: bool = False
    #: Of a user-assigned identity; empty: the system-assigned one.
    identity_client_id: str = ""
    #: The account, for people.
    name: str = ""


def signed_in(url: str) -> SignInSession | None:
    """Return who signed in for the app at an address; None: nobody."""
    found = _kept().get(_address(url))
    return SignInSession(**found) if found else None


def sign_in_person(
    url: str, who: SignInSession, *, show: Callable[[str], None] | None = None
) -> SignInSession:
    """Sign a person in and keep it; `show` gets what a device code needs, None: in a browser.

    Raises `SignInError`.
    """
    with _told():
        client, scopes = _client(who), _scopes(who)
        if show:
            flow = client.initiate_device_flow(scopes)
            if "user_code" not in flow:
                raise SignInError(f"Entra refuses: {flow.get('error_description')}")
            show(flow["message"])
            answer = client.acquire_token_by_device_flow(flow)
        else:
            answer = client.acquire_token_interactive(scopes)
    return _keep(url, who, _checked(answer))


def sign_in_machine(url: str, who: SignInSession) -> SignInSession:
    """Use this machine's managed identity from now on; raises `SignInError`."""
    return _keep(url, who, _machine_token(who))


def sign_out(url: str) -> bool:
    """Forget who signed in for an app, and their tokens; False if nobody had.

    Raises `SignInError`.
    """
    who, kept = signed_in(url), _kept()
    if who is None:
        return False
    if not who.is_machine:
        with _told():
            client = _client(who)
            for account in client.get_accounts(who.name):
                client.remove_account(account)
    del kept[_address(url)]
    _write(kept)
    return True


def token_for(url: str) -> str | None:
    """Return a token for the app at an address, None if nobody signed in; raises `SignInError`."""
    who = signed_in(url)
    if who is None:
        return None
    if who.is_machine:
        return _machine_token(who)
    with _told():
        client = _client(who)
        accounts = client.get_accounts(who.name)
        answer = client.acquire_token_silent(_scopes(who), accounts[0]) if accounts else None
    return _checked(answer or {"error_description": "the session has ended"})


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token of one's own says; nobody is let in by this."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _keep(url: str, who: SignInSession, token: str) -> SignInSession:
    claims = claims_of(token)
    name = claims.get("preferred_username") or f"application {claims.get('azp', '')}"
    known = SignInSession(**{**asdict(who), "name": name})
    _write({**_kept(), _address(url): asdict(known)})
    return known


@contextmanager
def _told() -> Iterator[None]:
    """Raise as `SignInError` what msal raises: no answer, or a tenant that cannot be one."""
    import requests

    try:
        yield
    except requests.RequestException as err:
        cause = type(err).__name__
        text = f"{_AUTHORITY} gives no answer ({cause}). See whether this machine reaches it."
        raise SignInError(text) from None
    except ValueError:
        text = f"{_AUTHORITY} knows no such tenant. Give the tenant's id (--tenant)."
        raise SignInError(text) from None


def _client(who: SignInSession) -> Any:
    import msal
    from msal_extensions import FilePersistence, PersistedTokenCache, build_encrypted_persistence

    file = str(_folder() / "tokens")
    try:
        persistence = build_encrypted_persistence(file)
    except Exception:  # noqa: BLE001  # each keyring fails in its own way: the file comes next
        persistence = FilePersistence(file)  # made with mode 0600
    return msal.PublicClientApplication(
        who.client_id,
        authority=f"{_AUTHORITY}/{who.tenant_id}",
        token_cache=PersistedTokenCache(persistence),
    )


def _machine_token(who: SignInSession) -> str:
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
            return _checked(client.acquire_token_for_client(resource=who.client_id))
        except (msal.ManagedIdentityError, requests.RequestException) as err:
            raise SignInError(f"This machine has no managed identity that answers: {err}") from None


def _checked(answer: dict[str, Any]) -> str:
    if "access_token" not in answer:
        why = answer.get("error_description") or answer.get("error")
        raise SignInError(f"Nobody is signed in: {why}. Sign in: cmkflow login.")
    return str(answer["access_token"])


def _scopes(who: SignInSession) -> list[str]:
    # By the client id: an application that asks for a token for itself may name no other address.
    return [f"{who.client_id}/.default"]


def _address(url: str) -> str:
    return url.rstrip("/").removesuffix("/api").lower()


def _folder() -> Path:
    return Path(typer.get_app_dir("cmkflow"))


def _kept() -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads((_folder() / "sign-ins.json").read_text())
    except (OSError, ValueError):
        return {}
    return kept


def _write(kept: dict[str, Any]) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(_folder() / "sign-ins.json", flags, 0o600), "w") as file:
        json.dump(kept, file, indent=1)

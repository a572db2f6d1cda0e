"""Act as a person in the tenant that `python -m local_cloud up` has started.

A person can apply a key, revoke it, read notifications, and sign in to `cmkflow`.
"""

import json
import os
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

#: Environment variable with the address of the tenant's control API; `up` prints its value.
CONTROL = "LOCAL_TENANT"
_SECONDS = 20


class PolicyLinkError(Exception):
    """The tenant rejected the request or does not answer."""


def link(environment: str, policy: str) -> None:
    """Start to link an environment to a policy, given both ids. Raises `PolicyLinkError`."""
    _send_control_request(f"/environments/{quote(environment)}/link", {"systemId": policy})


def set_key_enabled(vault: str, key: str, *, is_enabled: bool) -> None:
    """Revoke or restore a key of a vault, as its administrator does. Raises `PolicyLinkError`."""
    _send_control_request(
        "/azure/keys", {"vault": vault, "key": key, "enabled": is_enabled}, method="PATCH"
    )


def read_notifications() -> list[dict[str, Any]]:
    """Return the notifications that the receivers of the tenant accepted, oldest first.

    Raises `PolicyLinkError`.
    """
    return [one for one in _send_control_request("/received-messages") if not one["refusal"]]


def choose_person(upn: str) -> None:
    """Choose the user who signs in when `cmkflow login` shows a device code.

    Raises `PolicyLinkError`.
    """
    _send_control_request("/device-code-user", {"upn": upn}, method="PUT")


def _send_control_request(
    path: str, body: dict[str, Any] | None = None, method: str | None = None
) -> Any:
    control = os.environ.get(CONTROL)
    if not control:
        raise PolicyLinkError(
            f"{CONTROL} is not set: paste the export lines that `make up` printed"
        )
    request = Request(  # noqa: S310  # the address is the one that `up` printed
        control + path, json.dumps(body).encode() if body else None, method=method
    )
    # The tenant is on this machine, so the shell's proxy is not used.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return json.loads(answer.read() or "null")
    except HTTPError as error:
        raise PolicyLinkError(_format_refusal(error)) from error
    except URLError as error:
        raise PolicyLinkError(
            f"no tenant answers at {control}: is `make up` still running?"
        ) from error


def _format_refusal(error: HTTPError) -> str:
    document: dict[str, Any] = json.load(error)
    return str(document["error"]["message"])

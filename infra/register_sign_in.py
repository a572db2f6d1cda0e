"""Create the Entra app registration with which people and programs sign in, as hooks of azd.

`register` runs before provisioning. It creates the registration with its app roles. `connect` runs
after provisioning. It sets the redirect URL, and which identity the registration trusts.

The registration has no secret: it trusts the app's managed identity. Both hooks can be repeated,
because each writes by a name (learn.microsoft.com/graph/api/application-upsert).

A registration that a person created, and named in CMK_SIGN_IN_CLIENT_ID, is not changed. Microsoft
Graph is not called then, so who deploys needs no rights in it. `register` sets
CMK_SIGN_IN_REGISTERED_ID to the id of a registration that it has created.

Microsoft Graph is eventually consistent: for some time after a create, a read does not find the new
object, and a service principal is rejected because its application is not found.

Uses the standard library only, because it runs with the deploying person's Python.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

#: Client id of the Azure CLI, which may request tokens for scripts.
_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ROLES = {
    "reader": "Reads everything in the API, and changes nothing.",
    "operator": "Starts, retries, rolls back and cancels remediations.",
    "approver": "Approves what is to be written, and decides what may be.",
}

#: CMK_CLOUD -> URLs of Microsoft Graph and of Entra, and the audience of federated credentials.
#: The app's own hosts are in shared/domain/clouds.py, which needs a newer Python than this script.
_PUBLIC = (
    "https://graph.microsoft.com",
    "https://login.microsoftonline.com",
    "api://AzureADTokenExchange",
)
_GOVERNMENT = ("https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov")
_CLOUDS = {
    "": _PUBLIC,
    "public": _PUBLIC,
    "gcc": _PUBLIC,
    "gcc_high": ("https://graph.microsoft.us", *_GOVERNMENT),
    "dod": ("https://dod-graph.microsoft.us", *_GOVERNMENT),
    "china": (
        "https://microsoftgraph.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
        "api://AzureADTokenExchangeChina",
    ),
}

#: Seconds before each retry: two minutes in total.
_DELAYS = (1, 2, 4, 8, 15, 30, 30, 30)
#: Transient error statuses.
_TRANSIENT = frozenset({404, 408, 409, 429, 500, 502, 503, 504})
#: Error while a new application is not yet visible to the directory server.
_NO_APPLICATION_YET = re.compile("backing application|does not reference a valid application", re.I)

type Sleep = Callable[[float], None]
type Call = Callable[[str, str, Mapping[str, Any] | None], Any]


def register(call: Call, environ: Mapping[str, str], sleep: Sleep = time.sleep) -> str | None:
    """Create or update the registration and its service principal. Returns its client id.

    Returns None, and changes nothing, if a person created the registration.
    """
    if is_by_hand(environ):
        return None
    unique = _name(environ)
    path = f"applications(uniqueName='{unique}')"
    # Graph returns the application after a create, and nothing after an update.
    made = call("PATCH", path, application(unique)) or _read(call, path, sleep)
    client_id = str(made["appId"])
    # Only identities with a role get a token.
    principal = {"appRoleAssignmentRequired": True}
    call("PATCH", f"servicePrincipals(appId='{client_id}')", principal)
    return client_id


def connect(call: Call, environ: Mapping[str, str]) -> bool:
    """Set the app's URL and managed identity in the registration.

    Returns False, and changes nothing, if a person created the registration.
    """
    if is_by_hand(environ):
        return False
    unique = _name(environ)
    _, entra, audience = _read_cloud(environ)
    web = {
        "redirectUris": [f"{environ['CMKFLOW_API']}/.auth/login/aad/callback"],
        "implicitGrantSettings": {"enableIdTokenIssuance": True},
    }
    call("PATCH", f"applications(uniqueName='{unique}')", {"displayName": unique, "web": web})
    credential = {
        "name": "app-service",
        "issuer": f"{entra}/{environ['CMKFLOW_TENANT_ID']}/v2.0",
        "subject": environ["CMK_PRINCIPAL_ID"],
        "audiences": [audience],
    }
    path = f"applications(uniqueName='{unique}')/federatedIdentityCredentials(name='app-service')"
    call("PATCH", path, credential)
    return True


def application(unique: str) -> dict[str, Any]:
    """Return the registration without the values that only a deployed app has."""
    scope = str(uuid5(NAMESPACE_URL, f"{unique}/scope"))
    return {
        "displayName": unique,
        "signInAudience": "AzureADMyOrg",
        "appRoles": [
            {
                "id": str(uuid5(NAMESPACE_URL, f"{unique}/{role}")),
                "value": role,
                "displayName": role.capitalize(),
                "description": text,
                "allowedMemberTypes": ["User", "Application"],
                "isEnabled": True,
            }
            for role, text in ROLES.items()
        ],
        # `cmkflow login`: a browser on the same machine, or a device code.
        "isFallbackPublicClient": True,
        "publicClient": {"redirectUris": ["http://localhost"]},
        "api": {
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [
                {
                    "id": scope,
                    "value": "user_impersonation",
                    "type": "User",
                    "adminConsentDisplayName": "Call the flow remediation",
                    "adminConsentDescription": "Call the flow remediation as the one signed in.",
                    "isEnabled": True,
                }
            ],
            "preAuthorizedApplications": [{"appId": _AZURE_CLI, "delegatedPermissionIds": [scope]}],
        },
    }


def is_by_hand(environ: Mapping[str, str]) -> bool:
    """Return whether a person, and not this script, created the registration that azd names."""
    named = environ.get("CMK_SIGN_IN_CLIENT_ID", "")
    return named not in ("", environ.get("CMK_SIGN_IN_REGISTERED_ID", ""))


def _read_cloud(environ: Mapping[str, str]) -> tuple[str, str, str]:
    name = environ.get("CMK_CLOUD", "")
    if name not in _CLOUDS:
        known = ", ".join(filter(None, _CLOUDS))
        raise SystemExit(f"CMK_CLOUD is {name!r}. Set it to one of: {known}.")
    return _CLOUDS[name]


def _name(environ: Mapping[str, str]) -> str:
    return f"cmkflow-{environ['AZURE_ENV_NAME']}"


def _read(call: Call, path: str, sleep: Sleep) -> Any:
    """Return an object that was written. Waits up to two minutes until a read finds it."""
    for delay in (*_DELAYS, None):
        if found := call("GET", path, None):
            return found
        if delay is not None:
            sleep(delay)
    raise SystemExit(
        f"Microsoft Graph does not return {path} two minutes after it was written.\n"
        "Run azd up again in some minutes: it continues."
    )


def graph(token: str, address: str, sleep: Sleep = time.sleep) -> Call:
    """Return a function that sends requests to Microsoft Graph.

    That function returns None for 404 and for an empty response.
    """

    def call(method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # fixed host
            f"{address}/v1.0/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Prefer": "create-if-missing",
            },
        )
        for delay in (*_DELAYS, None):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
                    return json.load(answer) if answer.status != 204 else None
            except urllib.error.HTTPError as err:
                if err.code == 404 and method == "GET":
                    return None
                text = err.read().decode(errors="replace")
                if delay is None or not _is_transient(err.code, text):
                    raise _refused(f"{method} {path}", err.code, text) from None
                wait = _retry_after(err) or delay
            except OSError as err:  # no response; writes by name are safe to retry
                if delay is None:
                    raise SystemExit(
                        f"No response of Microsoft Graph to {method} {path}: {err}"
                    ) from None
                wait = delay
            sleep(wait)
        raise AssertionError("the last retry returns or raises")

    return call


def _is_transient(status: int, text: str) -> bool:
    return status in _TRANSIENT or (status in (400, 403) and bool(_NO_APPLICATION_YET.search(text)))


def _retry_after(err: urllib.error.HTTPError) -> int:
    named = err.headers.get("Retry-After", "")
    return min(int(named), 60) if named.isdecimal() else 0


def _refused(what: str, status: int, text: str) -> SystemExit:
    return SystemExit(
        f"Microsoft Graph rejects {what}: {status} {text}\n"
        "The person who deploys has to be able to register applications in Entra (Application "
        "Developer). Or have somebody make the registration (docs/deployment.md) and set "
        "its id: azd env set CMK_SIGN_IN_CLIENT_ID …"
    )


def _azd(*arguments: str) -> str:
    done = subprocess.run(("azd", *arguments), capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout


def main(step: str) -> None:
    """Run the hook `step` with the values of the azd environment."""
    if is_by_hand(os.environ):
        named = os.environ["CMK_SIGN_IN_CLIENT_ID"]
        print(f"The registration {named} was created manually and stays unchanged.")
        return
    address, *_ = _read_cloud(os.environ)
    answer = _azd("auth", "token", "--scope", f"{address}/.default", "--output", "json")
    call = graph(json.loads(answer)["token"], address)
    if step == "connect":
        connect(call, os.environ)
    elif client_id := register(call, os.environ):
        # Mark it as created here first: after an interruption, the next run registers again.
        _azd("env", "set", "CMK_SIGN_IN_REGISTERED_ID", client_id)
        _azd("env", "set", "CMK_SIGN_IN_CLIENT_ID", client_id)


if __name__ == "__main__":
    main(sys.argv[1])

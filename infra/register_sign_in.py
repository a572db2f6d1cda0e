"""Hooks of azd: the registration in Entra by which App Service signs people and machines in.

    register_sign_in.py register   before provisioning: the registration with its app roles
    register_sign_in.py connect    after it: where people come back to, and whom it trusts

There is no secret: the app's managed identity stands for the registration. Both may be repeated:
each writes what is to be there, by a name (learn.microsoft.com/graph/api/application-upsert). A
registration that was made by hand, and named in CMK_SIGN_IN_CLIENT_ID, is left as it is.

Standard library only: it runs with whatever Python deploys.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

GRAPH = "https://graph.microsoft.com"
#: The Azure CLI, which may get tokens for scripts.
_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ROLES = {
    "reader": "Sees everything that the API tells, and changes nothing.",
    "operator": "Orders remediations, retries, undoes and stops them.",
    "approver": "Approves what is to be written, and decides what may be.",
}

type Call = Callable[[str, str, Mapping[str, Any] | None], Any]


def register(call: Call, environ: Mapping[str, str]) -> str | None:
    """Make or mend the registration and its service principal; return its client id.

    None: another one is named, which is left alone.
    """
    unique, found = _found(call, environ)
    if is_by_hand(found, environ):
        return None
    call("PATCH", f"applications(uniqueName='{unique}')", application(unique))
    _, found = _found(call, environ)
    client_id = str(found["appId"])
    # Whoever has no role gets no token at all.
    principal = {"appRoleAssignmentRequired": True}
    call("PATCH", f"servicePrincipals(appId='{client_id}')", principal)
    return client_id


def connect(call: Call, environ: Mapping[str, str]) -> bool:
    """Tell the registration where the app is, and which identity stands for it."""
    unique, found = _found(call, environ)
    if is_by_hand(found, environ):
        return False
    web = {
        "redirectUris": [f"{environ['CMKFLOW_API']}/.auth/login/aad/callback"],
        "implicitGrantSettings": {"enableIdTokenIssuance": True},
    }
    call("PATCH", f"applications(uniqueName='{unique}')", {"displayName": unique, "web": web})
    credential = {
        "name": "app-service",
        "issuer": f"https://login.microsoftonline.com/{environ['CMKFLOW_TENANT_ID']}/v2.0",
        "subject": environ["CMK_PRINCIPAL_ID"],
        "audiences": ["api://AzureADTokenExchange"],
    }
    path = f"applications(uniqueName='{unique}')/federatedIdentityCredentials(name='app-service')"
    call("PATCH", path, credential)
    return True


def application(unique: str) -> dict[str, Any]:
    """Return the registration, but for what is known only when the app is there."""
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


def is_by_hand(found: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Say whether the azd environment names another registration than ours."""
    named = environ.get("CMK_SIGN_IN_CLIENT_ID", "")
    return named not in ("", found.get("appId"))


def _found(call: Call, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    unique = f"cmkflow-{environ['AZURE_ENV_NAME']}"
    return unique, call("GET", f"applications(uniqueName='{unique}')", None) or {}


def graph(token: str, address: str = GRAPH) -> Call:
    """Return what calls Microsoft Graph; None is what is not there, or says nothing."""

    def call(method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # the address is ours
            f"{address}/v1.0/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Prefer": "create-if-missing",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
                return json.load(answer) if answer.status != 204 else None
        except urllib.error.HTTPError as err:
            if err.code == 404 and method == "GET":
                return None
            raise SystemExit(
                f"Microsoft Graph refuses {method} {path}: {err.code} {err.read().decode()}\n"
                "Whoever deploys has to be able to register applications in Entra (Application "
                "Developer). Or have somebody make the registration (docs/deployment.md) and set "
                "its id: azd env set CMK_SIGN_IN_CLIENT_ID …"
            ) from None

    return call


def _azd(*arguments: str) -> str:
    done = subprocess.run(("azd", *arguments), capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout


def main(step: str) -> None:
    """Run one of the hooks in the environment that azd gives it."""
    answer = _azd("auth", "token", "--scope", f"{GRAPH}/.default", "--output", "json")
    call = graph(json.loads(answer)["token"])
    if step == "connect":
        connect(call, os.environ)
    elif client_id := register(call, os.environ):
        _azd("env", "set", "CMK_SIGN_IN_CLIENT_ID", client_id)


if __name__ == "__main__":
    main(sys.argv[1])

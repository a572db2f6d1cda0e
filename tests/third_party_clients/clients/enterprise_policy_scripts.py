"""Send the requests of Microsoft's scripts for enterprise policies, in their order and spelling.

The scripts (`LinkPolicyToEnv`, `SwapPolicyForEnv`, `UnLinkPolicyFromEnv`, `ValidateKeyVaultForCMK`
of microsoft/PowerPlatform-EnterprisePolicies) need PowerShell. This module sends the same requests
with a plain HTTP client and reads the same members. It runs in a separate process that knows only
its environment variables.
"""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from results import report_all

TENANT = "72f00000-0000-4000-8000-000000000001"
ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-integration"
POLICY = f"{GROUP}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-eu"
OTHER = f"{GROUP}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-next"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-cmk"
BAP = "https://api.bap.microsoft.com/providers/Microsoft.BusinessAppPlatform/environments"
ARM = "https://management.azure.com"
KEY = "https://kv-cmk.vault.azure.net/keys/pp-cmk"
#: Client id of PowerShell modules that sign people in.
POWERSHELL = "1950a258-227b-4e31-a9cf-717495945fc2"
#: Audience → token.
TOKENS: dict[str, str] = {}


def send(method: str, url: str, body: Any = None, token: str = "") -> tuple[int, Any, Any]:
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if isinstance(body, str):
        data = body.encode()
    elif body is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
        data = json.dumps(body).encode()
    request = Request(url, data=data, headers=headers, method=method)  # noqa: S310
    try:
        with urlopen(request) as response:  # noqa: S310  # every URL of it is https
            text = response.read()
            return response.status, response.headers, json.loads(text) if text else None
    except HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


def sign_in() -> str:
    """Sign a person in by device code, as `Add-PowerAppsAccount` and `Connect-AzAccount` do."""
    login = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0"
    for scope in ("https://service.powerapps.com/", f"{ARM}/", "https://vault.azure.net"):
        asked = {"client_id": POWERSHELL, "scope": f"{scope}/.default"}
        _, _, code = send("POST", f"{login}/devicecode", urlencode(asked))
        asked |= {"grant_type": "device_code", "device_code": code["device_code"]}
        _, _, answer = send("POST", f"{login}/token", urlencode(asked))
        TOKENS[scope] = answer["access_token"]
    return ", ".join(TOKENS)


def call_bap(method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
    """Send a request to the admin API of Power Platform (BAP), as the scripts' `InvokeApi` does."""
    return send(
        method, f"{BAP}/{ENVIRONMENT}{path}", body, TOKENS["https://service.powerapps.com/"]
    )


def call_resource_manager(resource: str, version: str, method: str = "GET") -> tuple[int, Any, Any]:
    """Send a request for a resource, as `Get-AzResource -ExpandProperties` does."""
    return send(method, f"{ARM}{resource}?api-version={version}", None, TOKENS[f"{ARM}/"])


def get_environment() -> Any:
    """Read the environment as `GetEnvironment` does, with a slash before the query of the URL."""
    status, _, environment = call_bap("GET", "/?&api-version=2016-11-01")
    assert status == 200, environment
    assert environment["id"], environment
    return environment


def find_environment_policy() -> str:
    """Return the name of an environment's policy, or "none", as `GetEnterprisePolicyForEnvironment`
    does.
    """
    policies = get_environment()["properties"].get("enterprisePolicies") or {}
    found = {name.lower(): value for name, value in policies.items()}.get("customermanagedkeys")
    return found["id"].rpartition("/")[2] if found else "none"


def read_system_id(policy: str) -> str:
    """Read a policy's system id as `GetEnterprisePolicySystemId` does."""
    _, _, document = call_resource_manager(policy, "2020-10-30-preview")
    found: str = document["properties"]["systemId"]
    return found


def build_change(verb: str, policy: str) -> Callable[[], str]:
    """Return a function that links or unlinks a policy as `LinkEnterprisePolicy` and
    `UnLinkEnterprisePolicy` do.
    """

    def request_link() -> str:
        get_environment()
        path = f"/enterprisePolicies/Encryption/{verb}?&api-version=2019-10-01"
        status, headers, error = call_bap("POST", path, {"SystemId": read_system_id(policy)})
        if status != 202:
            return f"rejected: {status} {error['error']['code']}"
        return f"202, {poll_operation(headers['operation-location'], int(headers['Retry-After']))}"

    return request_link


def poll_operation(location: str, interval: int) -> str:
    """Poll an operation until it ends, and return its states.

    Fails for a state that the scripts do not accept.
    """
    states: list[str] = []
    while not states or states[-1] == "Running":
        _, _, operation = send("GET", location, None, TOKENS["https://service.powerapps.com/"])
        assert operation["id"], operation
        states += [operation["state"]["id"]] if operation["state"]["id"] not in states else []
        if states[-1] == "Running":
            time.sleep(interval)
    return ", ".join(states)


def remove_policy() -> str:
    """Try to delete the policy as `RemoveEnterprisePolicy` does, and return the error."""
    status, _, error = call_resource_manager(POLICY, "2020-10-30-preview", "DELETE")
    return f"rejected: {status} {error['error']['code']}"


def validate_vault() -> str:
    """Return the protection settings that `GetAndValidateKeyVaultProperties` reads."""
    _, _, vault = call_resource_manager(VAULT, "2023-07-01")
    properties = vault["properties"]
    switches = ("enableSoftDelete", "enablePurgeProtection")
    return ", ".join(f"{name}: {properties[name]}" for name in switches)


def validate_policy() -> str:
    """Check the policy as `GetAndValidateEnterprisePolicyForKeyVault` does. Return its rights to
    the vault.
    """
    _, _, policy = call_resource_manager(POLICY, "2020-10-30-preview")
    _, _, vault = call_resource_manager(VAULT, "2023-07-01")
    assert policy["kind"] == "Encryption"
    assert policy["identity"]["type"] == "SystemAssigned"
    assert policy["properties"]["encryption"]["keyVault"]["id"] == vault["id"]
    [granted] = [
        each["permissions"]["keys"]
        for each in vault["properties"]["accessPolicies"]
        if each["objectId"] == policy["identity"]["principalId"]
    ]
    return ", ".join(sorted(granted))


def validate_key() -> str:
    """Return whether the key is enabled, as `GetAndValidateEnterprisePolicyKey` reads it."""
    _, _, key = send("GET", f"{KEY}?api-version=7.4", None, TOKENS["https://vault.azure.net"])
    return "enabled" if key["attributes"]["enabled"] else "disabled"


CALLS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("Login", sign_in),
    ("GetEnvironment", lambda: str(get_environment()["properties"]["displayName"])),
    ("ValidateKeyVaultForCMK: vault", validate_vault),
    ("ValidateKeyVaultForCMK: policy and its rights", validate_policy),
    ("ValidateKeyVaultForCMK: key", validate_key),
    ("GetEnterprisePolicyForEnvironment", find_environment_policy),
    ("LinkPolicyToEnv", build_change("link", POLICY)),
    ("GetEnterprisePolicyForEnvironment, linked", find_environment_policy),
    ("LinkPolicyToEnv, again", build_change("link", POLICY)),
    ("RemoveEnterprisePolicy, in use", remove_policy),
    ("SwapPolicyForEnv", build_change("link", OTHER)),
    ("GetEnterprisePolicyForEnvironment, swapped", find_environment_policy),
    ("UnLinkPolicyFromEnv", build_change("unlink", OTHER)),
    ("GetEnterprisePolicyForEnvironment, unlinked", find_environment_policy),
    ("UnLinkPolicyFromEnv, again", build_change("unlink", OTHER)),
)

if __name__ == "__main__":
    report_all(CALLS, "their requests, without PowerShell")

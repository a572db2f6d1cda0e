"""The tenant that outsiders are let loose on: one of each that a client lists, gets or changes."""

from typing import Any

from tests.contract.tenant_world import BUTTON, DAILY, HTTP, definition

TENANT_ID = "72f00000-0000-4000-8000-000000000001"
#: Who signs in: an administrator who makes flows too.
ADA = "b0000000-0000-4000-8000-000000000001"
MAX = "b0000000-0000-4000-8000-000000000002"
APP = "a0000000-0000-4000-8000-000000000001"
APP_CLIENT = "a0000000-0000-4000-8000-00000000c11e"

ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
DEFAULT = f"Default-{TENANT_ID}"
SOLUTION = "50000000-0000-4000-8000-000000000001"

ORDERS = "f0000000-0000-4000-8000-000000000001"
NIGHTLY = "f0000000-0000-4000-8000-000000000002"
DIGEST = "f0000000-0000-4000-8000-000000000003"
MAILS = "f0000000-0000-4000-8000-000000000004"
PRIVATE = "f0000000-0000-4000-8000-000000000005"

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-cmk"
POLICY = f"{GROUP}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-eu"


def _flow(flow_id: str, name: str, trigger: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "workflowEntityId": flow_id,
        "displayName": name,
        "definition": definition(trigger),
        "owner": ADA,
        "inSolution": False,
    } | more


SEED: dict[str, Any] = {
    "directory": {
        "tenantId": TENANT_ID,
        "users": [
            {"id": ADA, "name": "Ada", "upn": "ada@contoso.example", "isAdmin": True},
            {"id": MAX, "name": "Max", "upn": "max@contoso.example"},
        ],
        "applications": [
            {"id": APP, "clientId": APP_CLIENT, "name": "Automation", "isAdmin": True}
        ],
        "managedIdentity": APP_CLIENT,
        "deviceCodeUser": ADA,
    },
    "environments": [
        {
            "id": ENVIRONMENT,
            "displayName": "Contoso Prod",
            "orgHost": "contoso.crm4.dynamics.com",
            "solutions": [
                {"solutionid": SOLUTION, "uniquename": "Orders", "friendlyname": "Orders"},
                {"uniquename": "Hidden", "friendlyname": "Hidden", "isvisible": False},
            ],
            "flows": [
                _flow(ORDERS, "Receive order", HTTP, inSolution=True, solutions=["Orders"]),
                _flow(NIGHTLY, "Nightly", DAILY),
                _flow(DIGEST, "Team digest", BUTTON, coOwners={MAX: "CanEdit"}),
                _flow(MAILS, "Mails of Max", BUTTON, owner=MAX, coOwners={ADA: "CanEdit"}),
                _flow(PRIVATE, "Private of Max", BUTTON, owner=MAX),
            ],
        },
        {"id": DEFAULT, "displayName": "Contoso (default)", "isDefault": True},
    ],
    "azure": {
        "subscriptions": [{"subscriptionId": SUBSCRIPTION, "displayName": "Integration"}],
        "vaults": [
            {
                "id": VAULT,
                "properties": {"enablePurgeProtection": True},
                "keys": [{"name": "pp-cmk", "versions": [{"createdDaysAgo": 99}]}],
            }
        ],
        "enterprisePolicies": [
            {
                "id": POLICY,
                "location": "europe",
                "kind": "Encryption",
                "identity": {"type": "SystemAssigned"},
                "properties": {
                    "encryption": {"keyVault": {"id": VAULT, "key": {"name": "pp-cmk"}}}
                },
            }
        ],
    },
}

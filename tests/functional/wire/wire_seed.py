"""Build seeds of simulated tenants: an environment with a key, its people, and HTTP flows."""

from typing import Any

from local_cloud.tenant.core.profiles import Profile
from tests.local_cloud.tenant.tenant_world import (
    APP,
    APP_CLIENT,
    ENCRYPTION_USER,
    ENVIRONMENT,
    GROUP,
    HTTP,
    MAKER,
    POLICY_ID,
    POLICY_IDENTITY,
    TENANT_ID,
    VAULT_ID,
    build_definition,
    build_references,
)

COLLEAGUE = "b0000000-0000-4000-8000-0000000000c0"
TRAINEE = "b0000000-0000-4000-8000-000000000003"
OPERATOR = "b0000000-0000-4000-8000-0000000000e0"
#: The application with which the service account signs in.
OPERATOR_APP = "a0000000-0000-4000-8000-0000000000e0"
OPERATOR_CLIENT = "a0000000-0000-4000-8000-0000000000e1"
SUBSCRIPTION = GROUP.split("/")[2]
ORDERS = "f0000000-0000-4000-8000-0000000000a1"
CHILD = "f0000000-0000-4000-8000-0000000000c1"


def build_flow_seed(
    flow_id: str, title: str, content: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Return the seed of a flow. The maker owns it, unless `more` names another owner."""
    named = {"workflowEntityId": flow_id, "displayName": title, "definition": content}
    return named | {"owner": MAKER} | more


def build_orders_seed(**more: Any) -> dict[str, Any]:
    return build_flow_seed(ORDERS, "Take orders", build_definition(HTTP), **more)


def build_tenant_seed(
    *flows: dict[str, Any],
    assumptions: dict[str, Any] | None = None,
    profile: Profile = Profile.DOCUMENTED,
    **environment: Any,
) -> dict[str, Any]:
    """Return the seed of a tenant with one environment, which has a key and these flows."""
    azure_policy = {
        "id": POLICY_ID,
        "location": "europe",
        "kind": "Encryption",
        "identity": {"type": "SystemAssigned", "principalId": POLICY_IDENTITY},
        "properties": {"encryption": {"keyVault": {"id": VAULT_ID, "key": {"name": "pp-cmk"}}}},
    }
    return {
        "profile": profile,
        "assumptions": {"link_start_seconds": 0, "link_seconds": 10} | (assumptions or {}),
        "directory": _build_directory(),
        "environments": [
            {
                "id": ENVIRONMENT,
                "displayName": "Contoso Prod",
                "orgHost": "contoso.crm4.dynamics.com",
                "policy": POLICY_ID,
                "members": [{"id": APP, "isAdministrator": True, "mayImpersonate": True}],
                "flows": list(flows),
            }
            | environment
        ],
        "azure": {
            "subscriptions": [{"subscriptionId": SUBSCRIPTION, "displayName": "Integration"}],
            "vaults": [
                {"id": VAULT_ID, "keys": [{"name": "pp-cmk", "versions": [{"createdDaysAgo": 9}]}]}
            ],
            "enterprisePolicies": [azure_policy],
            "roleAssignments": [
                {"scope": VAULT_ID, "principalId": POLICY_IDENTITY}
                | {"roleDefinitionId": ENCRYPTION_USER}
            ],
        },
    }


def _build_directory() -> dict[str, Any]:
    return {
        "tenantId": TENANT_ID,
        "users": [
            {"id": MAKER, "name": "Maker", "upn": "maker@contoso.example"},
            {"id": COLLEAGUE, "name": "Colleague", "upn": "colleague@contoso.example"},
            {"id": TRAINEE, "name": "Trainee", "upn": "trainee@contoso.example"}
            | {"hasPremium": False},
            {"id": OPERATOR, "name": "Operator", "upn": "operator@contoso.example"},
        ],
        "applications": [
            {"id": APP, "clientId": APP_CLIENT, "name": "Remediation", "isAdmin": True},
            {"id": OPERATOR_APP, "clientId": OPERATOR_CLIENT, "name": "Service account"},
        ],
        "managedIdentity": APP_CLIENT,
        "deviceCodeUser": OPERATOR,
    }


def build_mail_seed(owner: str = MAKER, **more: Any) -> dict[str, Any]:
    """Return the connection and the connection reference with which a flow sends mail."""
    name, api = "mail-1", "shared_office365"
    return {
        "connections": [{"name": name, "api": api, "owner": owner}],
        "connectionReferences": [
            {
                "connectionreferencelogicalname": "cr1_mail",
                "connectorid": f"/providers/Microsoft.PowerApps/apis/{api}",
                "connectionid": name,
            }
        ],
    } | more


def build_mailing_orders_seed() -> dict[str, Any]:
    """Return the seed of `Take orders`, with the connection reference of `build_mail_seed`."""
    return build_orders_seed(connectionReferences=build_references("cr1_mail"))

"""Describe the local tenant for third-party clients."""

from typing import Any

from local_cloud.tenant.azure.api_management import SERVICE as API_MANAGEMENT
from local_cloud.tenant.azure.container_apps import CONTAINER_APPS
from local_cloud.tenant.azure.data_factory import FACTORIES
from local_cloud.tenant.azure.key_values import STORES
from local_cloud.tenant.azure.providers.automation import ACCOUNTS as AUTOMATION
from local_cloud.tenant.azure.resources import ResourceScope, build_resource_id
from tests.local_cloud.tenant.azure_world import GROUP, GROUP_ID, POLICY_ID, SUBSCRIPTION
from tests.local_cloud.tenant.azure_world import SEED as AZURE
from tests.local_cloud.tenant.tenant_world import BUTTON, DAILY, HTTP, build_definition

TENANT_ID = "72f00000-0000-4000-8000-000000000001"
#: Who signs in: an administrator who makes flows too.
ADA = "b0000000-0000-4000-8000-000000000001"
MAX = "b0000000-0000-4000-8000-000000000002"
APP = "a0000000-0000-4000-8000-000000000001"
APP_CLIENT = "a0000000-0000-4000-8000-00000000c11e"
#: The clients with which people sign in.
CLI = "a0000000-0000-4000-8000-000000000002"
CLI_CLIENT = "31359c7f-bd7e-475c-86db-fdb8c937548e"
POWERSHELL = "a0000000-0000-4000-8000-000000000003"
POWERSHELL_CLIENT = "1950a258-227b-4e31-a9cf-717495945fc2"

ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
DEFAULT = f"Default-{TENANT_ID}"
SOLUTION = "50000000-0000-4000-8000-000000000001"

ORDERS = "f0000000-0000-4000-8000-000000000001"
NIGHTLY = "f0000000-0000-4000-8000-000000000002"
DIGEST = "f0000000-0000-4000-8000-000000000003"
MAILS = "f0000000-0000-4000-8000-000000000004"
PRIVATE = "f0000000-0000-4000-8000-000000000005"

_IDENTITY = {"type": "SystemAssigned", "principalId": "d0000000-0000-4000-8000-000000000001"}
_GRANT = {
    "objectId": _IDENTITY["principalId"],
    "permissions": {"keys": ["get", "unwrapKey", "wrapKey"]},
}


def _build_resource(kind: str, *names: str, **properties: Any) -> dict[str, Any]:
    scope = ResourceScope(subscription=SUBSCRIPTION, group=GROUP)
    return {
        "id": build_resource_id(scope, kind, *names),
        "type": kind,
        "location": "westeurope",
        "properties": properties,
    }


def _build_flow(flow_id: str, name: str, trigger: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "workflowEntityId": flow_id,
        "displayName": name,
        "definition": build_definition(trigger),
        "owner": ADA,
        "inSolution": False,
    } | more


_VARIABLES = [{"name": "FLOW", "secretRef": "flow"}, {"name": "COLOUR", "value": "blue"}]
SEED: dict[str, Any] = {
    # How long a link takes is not for a client to say; that it is `Running` at once, it does.
    "assumptions": {"link_seconds": 1, "link_retry_after": 1},
    "directory": {
        "tenantId": TENANT_ID,
        "users": [
            {"id": ADA, "name": "Ada", "upn": "ada@contoso.example", "isAdmin": True},
            {"id": MAX, "name": "Max", "upn": "max@contoso.example"},
        ],
        "applications": [
            {"id": APP, "clientId": APP_CLIENT, "name": "Automation", "isAdmin": True},
            {"id": CLI, "clientId": CLI_CLIENT, "name": "CLI for Microsoft 365"},
            {"id": POWERSHELL, "clientId": POWERSHELL_CLIENT, "name": "Azure PowerShell"},
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
                _build_flow(ORDERS, "Receive order", HTTP, inSolution=True, solutions=["Orders"]),
                _build_flow(NIGHTLY, "Nightly", DAILY),
                _build_flow(DIGEST, "Team digest", BUTTON, coOwners={MAX: "CanEdit"}),
                _build_flow(MAILS, "Mails of Max", BUTTON, owner=MAX, coOwners={ADA: "CanEdit"}),
                _build_flow(PRIVATE, "Private of Max", BUTTON, owner=MAX),
            ],
        },
        {"id": DEFAULT, "displayName": "Contoso (default)", "isDefault": True},
    ],
    "azure": AZURE
    | {
        "vaults": [
            AZURE["vaults"][0] | {"properties": {"accessPolicies": [_GRANT]}},
            {
                "id": f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/kv-apps",
                "properties": {"enablePurgeProtection": False},
            },
        ],
        "enterprisePolicies": [
            AZURE["enterprisePolicies"][0]
            | {"id": f"{POLICY_ID.rpartition('/')[0]}/{name}", "identity": _IDENTITY}
            for name in ("cmk-eu", "cmk-next")
        ],
        "containerApps": [
            {
                "id": f"{GROUP_ID}/providers/{CONTAINER_APPS}/till",
                "properties": {
                    "configuration": {"secrets": [{"name": "flow", "value": "old"}]},
                    "template": {"containers": [{"name": "web", "env": _VARIABLES}]},
                },
            }
        ],
        "sites": [
            *AZURE["sites"],
            {
                "id": f"{GROUP_ID}/providers/Microsoft.Web/sites/hub",
                "kind": "functionapp,workflowapp",
                "files": {"call/workflow.json": '{"definition": {}}', "connections.json": "{}"},
            },
        ],
        "configurationStores": [
            {
                "id": f"{GROUP_ID}/providers/{STORES}/contoso",
                "keyValues": [
                    {"key": "Colour", "value": "blue"},
                    {"key": "Colour", "label": "prod", "value": "green"},
                ],
            }
        ],
        "resources": [
            _build_resource(
                "Microsoft.Network/ipGroups", "partners", ipAddresses=["203.0.113.0/24"]
            ),
            _build_resource("Microsoft.Network/azureFirewalls", "edge"),
            _build_resource("Microsoft.Logic/workflows", "order-hub", state="Enabled"),
            _build_resource(
                "Microsoft.EventGrid/systemTopics", "keys", topicType="microsoft.keyvault.vaults"
            ),
            _build_resource(
                "Microsoft.EventGrid/systemTopics/eventSubscriptions", "keys", "to-queue"
            ),
            _build_resource("Microsoft.EventGrid/topics", "sales"),
            _build_resource(
                "Microsoft.EventGrid/topics/eventSubscriptions",
                "sales",
                "flow",
                destination={
                    "endpointType": "WebHook",
                    "properties": {"endpointUrl": "https://flow.example/?sig=x"},
                },
            ),
            _build_resource("Microsoft.Insights/metricAlerts", "parked", severity=1, enabled=True),
            _build_resource("Microsoft.Insights/actionGroups", "on-call", groupShortName="oncall"),
            _build_resource(AUTOMATION, "jobs"),
            _build_resource(
                f"{AUTOMATION}/variables", "jobs", "flow", isEncrypted=False, value='"x"'
            ),
            _build_resource(
                f"{AUTOMATION}/variables", "jobs", "key", isEncrypted=True, value='"x"'
            ),
            _build_resource(
                f"{AUTOMATION}/runbooks", "jobs", "notify", state="Published", content="$x"
            ),
            _build_resource(FACTORIES, "nightly"),
            _build_resource(
                f"{FACTORIES}/linkedservices",
                *("nightly", "crm"),
                type="RestService",
                typeProperties={
                    "url": "https://contoso.example",
                    "password": {"type": "SecureString", "value": "x"},
                },
            ),
            _build_resource(
                f"{FACTORIES}/pipelines",
                *("nightly", "load"),
                activities=[{"name": "Notify", "type": "WebActivity", "typeProperties": {}}],
            ),
            _build_resource(API_MANAGEMENT, "contoso-api"),
            _build_resource(f"{API_MANAGEMENT}/apis", "contoso-api", "sales", path="sales"),
            _build_resource(f"{API_MANAGEMENT}/apis/operations", "contoso-api", "sales", "post"),
            _build_resource(
                f"{API_MANAGEMENT}/apis/operations/policies",
                *("contoso-api", "sales", "post", "policy"),
                value='<policies><inbound><x a="@(1 < 2)" /></inbound></policies>',
            ),
            _build_resource(
                f"{API_MANAGEMENT}/namedValues",
                *("contoso-api", "flow"),
                displayName="flow",
                secret=True,
                value="https://flow.example",
            ),
        ],
    },
}

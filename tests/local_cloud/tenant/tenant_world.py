import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import yarl

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.entra.endpoints import issue_application_token, issue_user_token
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer

TENANT_ID = "72f00000-0000-4000-8000-000000000001"
APP_CLIENT = "a0000000-0000-4000-8000-00000000c11e"
APP = "a0000000-0000-4000-8000-000000000001"
ADMIN = "b0000000-0000-4000-8000-000000000001"
MAKER = "b0000000-0000-4000-8000-000000000002"
UNLICENSED = "b0000000-0000-4000-8000-000000000003"

ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
OTHER_REGION = "e0000000-0000-4000-8000-000000000002"
ORG = "https://contoso.crm4.dynamics.com"
ORG_API = "https://contoso.api.crm4.dynamics.com/api/data/v9.2"

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg"
VAULT_ID = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-cmk"
POLICY_ID = f"{GROUP}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-eu"
#: What the policy's identity is known by where a seed gives it a role.
POLICY_IDENTITY = "b0000000-0000-4000-8000-0000000000d0"
#: Key Vault Crypto Service Encryption User.
ENCRYPTION_USER = (
    "/providers/Microsoft.Authorization/roleDefinitions/e147488a-f6f5-4113-8e2d-b22465e65bf6"
)

BAP = "https://api.bap.microsoft.com/providers/Microsoft.BusinessAppPlatform"
FLOW_HOST = "https://emea.api.flow.microsoft.com/providers/Microsoft.ProcessSimple"
ADMIN_FLOWS = f"{FLOW_HOST}/scopes/admin/environments/{ENVIRONMENT}"
MAKER_FLOWS = f"{FLOW_HOST}/environments/{ENVIRONMENT}"

BAP_AUDIENCE = "https://service.powerapps.com/"
FLOW_AUDIENCE = "https://service.flow.microsoft.com/"

HTTP_FLOW = "f0000000-0000-4000-8000-000000000001"
PARENT_FLOW = "f0000000-0000-4000-8000-000000000002"
DAILY_FLOW = "f0000000-0000-4000-8000-000000000003"
CALLING_FLOW = "f0000000-0000-4000-8000-000000000004"
TENANT_AUTH_FLOW = "f0000000-0000-4000-8000-000000000005"
BUTTON_FLOW = "f0000000-0000-4000-8000-000000000006"


def build_definition(
    trigger: Mapping[str, Any], actions: Mapping[str, Any] | None = None, **parameters: Any
) -> dict[str, Any]:
    """Return a flow definition whose trigger is named `manual`."""
    return {
        "$schema": "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/"
        "2016-06-01/workflowdefinition.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"$connections": {"defaultValue": {}, "type": "Object"}, **parameters},
        "triggers": {"manual": trigger},
        "actions": actions or {"Compose": {"type": "Compose", "inputs": "done", "runAfter": {}}},
    }


HTTP = {"type": "Request", "kind": "Http", "inputs": {"triggerAuthenticationType": "All"}}
BUTTON = {"type": "Request", "kind": "Button", "inputs": {}}
DAILY = {"type": "Recurrence", "recurrence": {"frequency": "Day", "interval": 1}}
NEW_MAIL = {
    "type": "OpenApiConnection",
    "inputs": {"host": {"operationId": "OnNewEmailV3", "connectionName": "shared_office365"}},
}


def build_http_action(uri: str) -> dict[str, Any]:
    return {"Call": {"type": "Http", "inputs": {"method": "POST", "uri": uri}, "runAfter": {}}}


def build_child_action(workflow_id: str) -> dict[str, Any]:
    host = {"workflowReferenceName": workflow_id}
    return {"Child": {"type": "Workflow", "inputs": {"host": host}, "runAfter": {}}}


def build_client_data(content: dict[str, Any], references: dict[str, Any] | None = None) -> str:
    properties = {"connectionReferences": references or {}, "definition": content}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"})


def build_references(logical_name: str, api: str = "shared_office365") -> dict[str, Any]:
    connection = {"connectionReferenceLogicalName": logical_name}
    entry = {"runtimeSource": "embedded", "connection": connection, "api": {"name": api}}
    return {api: entry}


def _build_flow(flow_id: str, name: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"workflowEntityId": flow_id, "displayName": name, "definition": content} | (
        {"owner": MAKER} | more
    )


URL_VARIABLE = {
    "Orders URL (cr1_ordersurl)": {
        "type": "String",
        "defaultValue": "",
        "metadata": {"schemaName": "cr1_ordersurl"},
    }
}

SEED: dict[str, Any] = {
    "assumptions": {"link_start_seconds": 0, "link_seconds": 10},
    "directory": {
        "tenantId": TENANT_ID,
        "users": [
            {"id": ADMIN, "name": "Admin", "upn": "admin@contoso.example", "isAdmin": True},
            {"id": MAKER, "name": "Maker", "upn": "maker@contoso.example"},
            {
                "id": UNLICENSED,
                "name": "Trainee",
                "upn": "trainee@contoso.example",
                "hasPremium": False,
            },
        ],
        "applications": [
            {
                "id": APP,
                "clientId": APP_CLIENT,
                "name": "Remediation",
                "secret": "app-secret",
                "isAdmin": True,
            }
        ],
        "managedIdentity": APP_CLIENT,
        "deviceCodeUser": MAKER,
    },
    "environments": [
        {
            "id": ENVIRONMENT,
            "displayName": "Contoso Prod",
            "orgHost": "contoso.crm4.dynamics.com",
            "migrationSeconds": 100,
            "members": [{"id": APP, "isAdministrator": True, "mayImpersonate": True}],
            "solutions": [{"uniquename": "Orders", "friendlyname": "Orders"}],
            "connections": [
                {"name": "office-maker", "api": "shared_office365", "owner": MAKER},
                {"name": "office-shared", "api": "shared_office365", "owner": MAKER}
                | {"sharedWith": [APP]},
            ],
            "connectionReferences": [
                {
                    "connectionreferencelogicalname": "cr1_office",
                    "connectorid": "/providers/Microsoft.PowerApps/apis/shared_office365",
                    "connectionid": "office-maker",
                },
                {
                    "connectionreferencelogicalname": "cr1_officeshared",
                    "connectorid": "/providers/Microsoft.PowerApps/apis/shared_office365",
                    "connectionid": "office-shared",
                },
            ],
            "environmentVariables": [
                {"schemaName": "cr1_ordersurl", "value": f"{{{{trigger_url:{HTTP_FLOW}}}}}"}
            ],
            "serviceEndpoints": [
                {"name": "hook", "url": f"{{{{trigger_url:{HTTP_FLOW}}}}}", "contract": 8}
            ],
            "flows": [
                _build_flow(
                    HTTP_FLOW, "Receive order", build_definition(HTTP), solutions=["Orders"]
                ),
                _build_flow(
                    PARENT_FLOW, "Parent", build_definition(BUTTON, build_child_action(HTTP_FLOW))
                ),
                _build_flow(DAILY_FLOW, "Daily", build_definition(DAILY)),
                _build_flow(
                    CALLING_FLOW,
                    "Caller by variable",
                    build_definition(
                        BUTTON,
                        build_http_action("@parameters('Orders URL (cr1_ordersurl)')"),
                        **URL_VARIABLE,
                    ),
                ),
                _build_flow(
                    TENANT_AUTH_FLOW,
                    "Tenant only",
                    build_definition(HTTP | {"inputs": {"triggerAuthenticationType": "Tenant"}}),
                ),
                _build_flow(BUTTON_FLOW, "Button", build_definition(BUTTON), inSolution=False),
            ],
        },
        {"id": OTHER_REGION, "displayName": "Contoso US", "location": "unitedstates"},
    ],
    "azure": {
        "subscriptions": [{"subscriptionId": "11111111-2222-3333-4444-555555555555"}],
        "vaults": [
            {"id": VAULT_ID, "keys": [{"name": "pp-cmk", "versions": [{"createdDaysAgo": 99}]}]}
        ],
        "enterprisePolicies": [
            {
                "id": POLICY_ID,
                "location": "europe",
                "kind": "Encryption",
                "identity": {"type": "SystemAssigned"},
                "properties": {
                    "encryption": {"keyVault": {"id": VAULT_ID, "key": {"name": "pp-cmk"}}}
                },
            }
        ],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantWorld:
    tenant: Tenant
    server: TenantServer
    session: aiohttp.ClientSession

    @property
    def platform(self) -> PowerPlatform:
        return self.tenant.get_part(PowerPlatform)

    @property
    def environment(self) -> SimulatedEnvironment:
        return self.platform.environments[ENVIRONMENT]

    def issue_token(self, who: str, audience: str) -> str:
        principal = self.tenant.get_part(Directory).principals.get(who)
        if principal is not None and principal.client_id:
            return issue_application_token(self.tenant, who, audience)
        return issue_user_token(self.tenant, who, audience, APP_CLIENT)

    async def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        who: str | None = APP,
        audience: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call a URL through the tunnel. The default audience is the one that the host requires."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = (
                f"Bearer {self.issue_token(who, audience or find_audience(url))}"
            )
        if ".dynamics.com" not in url and "sig=" not in url and "api-version" not in url:
            query = {"api-version": "2016-11-01", **(query or {})}
        async with self.session.request(
            method, url, json=body, params=query or None, headers=sent, proxy=self.server.proxy_url
        ) as response:
            text = await response.text()
            return Answer(
                status=response.status,
                headers=response.headers,
                body=json.loads(text) if text else None,
            )

    async def post_to_trigger(self, url: str, **headers: str) -> Answer:
        """Call a trigger URL as it is, without encoding it again."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            yarl.URL(url, encoded=True), json={}, headers=sent, proxy=self.server.proxy_url
        ) as response:
            text = await response.text()
            return Answer(
                status=response.status,
                headers=response.headers,
                body=json.loads(text) if text else None,
            )

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(
            method, self.server.control_url + path, json=body
        ) as response:
            response.raise_for_status()
            text = await response.text()
            return json.loads(text) if text else None

    async def read_all_pages(self, url: str, **options: Any) -> list[Any]:
        items: list[Any] = []
        next_url: str | None = url
        while next_url:
            answer = await self.call("GET", next_url, **options)
            assert answer.status == 200, answer.body
            items += answer.body["value"]
            next_url = answer.body.get("nextLink") or answer.body.get("@odata.nextLink")
            options = {name: options[name] for name in options if name in ("who", "headers")}
        return items

    async def link(self) -> None:
        """Link the environment, and advance the clock until the link has succeeded."""
        await self.control("POST", f"/environments/{ENVIRONMENT}/link", {"systemId": POLICY_ID})
        await self.control("POST", "/clock/advance", {"seconds": 11})

    async def migrate(self) -> None:
        """Link the environment, and advance the clock until its flows have migrated."""
        await self.link()
        await self.control("POST", "/clock/advance", {"seconds": 101})

    async def get_trigger_url(self, flow_id: str) -> str:
        flow = await self.control("GET", f"/environments/{ENVIRONMENT}/flows/{flow_id}")
        url: str = flow["triggerUrl"]
        return url


def find_audience(url: str) -> str:
    if "bap.microsoft.com" in url:
        return BAP_AUDIENCE
    return ORG if ".dynamics.com" in url else FLOW_AUDIENCE


@asynccontextmanager
async def serve_tenant_world() -> AsyncIterator[TenantWorld]:
    tenant = Tenant()
    seed(tenant, SEED)
    async with TenantServer(tenant) as server:
        trust = ssl.create_default_context(cafile=server.ca_file)
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield TenantWorld(tenant=tenant, server=server, session=session)

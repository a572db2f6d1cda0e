import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from azure.core.credentials import AccessToken

from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import SimulatedCaller
from local_cloud.tenant.seed.azure import seed_azure
from local_cloud.tenant.serving.server import TenantServer

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = "rg-integration"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
VAULT_ID = f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/kv-cmk"
POLICY_ID = f"{GROUP_ID}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-eu"
SITE_ID = f"{GROUP_ID}/providers/Microsoft.Web/sites/shop"
#: Object id of the site's identity.
SITE_IDENTITY = "51000000-0000-4000-8000-000000000001"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
GROUP_OF_RULES_ID = f"{GROUP_ID}/providers/Microsoft.Network/networkSecurityGroups/nsg-erp"
ARM = "https://management.azure.com"
#: Object id of the application that calls.
CALLER = "0a0a0a0a-0000-4000-8000-000000000001"

SEED: dict[str, Any] = {
    "subscriptions": [{"subscriptionId": SUBSCRIPTION, "displayName": "Integration"}],
    "vaults": [
        {
            "id": VAULT_ID,
            "keys": [{"name": "pp-cmk", "versions": [{"createdDaysAgo": 400}]}],
            "secrets": [
                {"name": "orders-url", "value": "https://flow.example/1", "contentType": "url"}
            ],
        }
    ],
    "enterprisePolicies": [
        {
            "id": POLICY_ID,
            "location": "europe",
            "kind": "Encryption",
            "identity": {"type": "SystemAssigned"},
            "properties": {"encryption": {"keyVault": {"id": VAULT_ID, "key": {"name": "pp-cmk"}}}},
        }
    ],
    "roleAssignments": [
        {
            "scope": VAULT_ID,
            "roleDefinitionId": f"/roleDefinitions/{SECRETS_USER}",
            "principalId": SITE_IDENTITY,
        }
    ],
    "sites": [
        {
            "id": SITE_ID,
            "hostNames": ["shop.contoso.example"],
            "identity": {"type": "SystemAssigned", "principalId": SITE_IDENTITY},
            "appSettings": {
                "COLOUR": "blue",
                "ORDERS_URL": "@Microsoft.KeyVault(SecretUri=https://kv-cmk.vault.azure.net/"
                "secrets/orders-url)",
            },
            "connectionStrings": {"db": {"value": "Server=db", "type": "SQLAzure"}},
            "slots": [{"name": "staging", "appSettings": {"COLOUR": "green"}}],
        }
    ],
    "networkSecurityGroups": [
        {
            "id": GROUP_OF_RULES_ID,
            "guards": {"erp.contoso.example": "10.0.1.4"},
            "securityRules": [
                {
                    "name": "allow-flows",
                    "properties": {
                        "access": "Allow",
                        "priority": 100,
                        "direction": "Inbound",
                        "protocol": "Tcp",
                        "destinationPortRange": "443",
                        "sourceAddressPrefix": "LogicApps.WestEurope",
                    },
                }
            ],
        }
    ],
}


class Credential:
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self.issue_token(scopes[0])

    def issue_token(self, scope: str) -> AccessToken:
        caller = SimulatedCaller(
            object_id=CALLER,
            app_id="0a0a0a0a-0000-4000-8000-000000000002",
            is_delegated=False,
            audience=scope.removesuffix("/.default"),
            tenant_id="0a0a0a0a-0000-4000-8000-000000000003",
        )
        return AccessToken(self._tenant.tokens.issue(caller), int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def require_present[T](member: T | None) -> T:
    """Return a member that Microsoft's models declare as optional. Fails if it is None."""
    assert member is not None
    return member


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureWorld:
    tenant: Tenant
    server: TenantServer
    credential: Credential
    session: aiohttp.ClientSession

    @property
    def azure(self) -> Azure:
        return self.tenant.get_part(Azure)

    @property
    def client_options(self) -> dict[str, Any]:
        """Return arguments with which one of Microsoft's clients calls the tenant."""
        return {
            "proxies": {"https": self.server.proxy_url},
            "connection_verify": self.server.ca_file,
            "retry_total": 0,
        }

    async def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        audience: str = ARM,
        etag: str = "",
        **query: str,
    ) -> Answer:
        """Call a URL with a token for the audience, or without a token if `audience` is empty."""
        headers = {"If-Match": etag} if etag else {}
        if audience:
            headers["Authorization"] = f"Bearer {self.credential.issue_token(audience).token}"
        request = self.session.request(
            method,
            url,
            json=body,
            params=query or None,
            headers=headers,
            proxy=self.server.proxy_url,
            ssl=ssl.create_default_context(cafile=self.server.ca_file),
        )
        async with request as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answer(
                status=response.status,
                headers=response.headers,
                body=await response.json() if is_json and text else text,
            )

    async def call_arm(self, method: str, path: str, body: Any = None) -> Answer:
        return await self.call(method, f"{ARM}{path}", body, **{"api-version": "2023-07-01"})


@asynccontextmanager
async def serve_azure_world() -> AsyncIterator[AzureWorld]:
    tenant = Tenant()
    seed_azure(tenant, SEED)
    async with TenantServer(tenant) as server, aiohttp.ClientSession() as session:
        yield AzureWorld(
            tenant=tenant, server=server, credential=Credential(tenant), session=session
        )

"""All adapters on a tenant behind TLS and a tunnel, with Azure's own identity libraries."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from azure.core.pipeline.transport import AioHttpTransport

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from shared.adapters.azure import key_vault, resource_manager
from shared.adapters.azure.app_settings import SiteAppSettings
from shared.adapters.azure.key_vault import VaultContents
from shared.adapters.azure.key_vault_keys import VaultKeys
from shared.adapters.azure.key_vault_secrets import VaultSecrets
from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.azure.service_tags import DiscoveredServiceTags
from shared.adapters.dataverse.connection_references import DataverseConnectionReferences
from shared.adapters.dataverse.environment_variables import DataverseEnvironmentVariables
from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
from shared.adapters.dataverse.organization import DataverseOrganization
from shared.adapters.dataverse.principals import DataversePrincipals
from shared.adapters.dataverse.sharing import DataverseSharing
from shared.adapters.dataverse.solutions import DataverseSolutions
from shared.adapters.dataverse.web_api import Dataverse
from shared.adapters.dataverse.workflows import DataverseWorkflows
from shared.adapters.entra.identity import (
    OperatorCredential,
    OperatorSettings,
    application_credential,
)
from shared.adapters.flow_service import flows as flow_service
from shared.adapters.flow_service.access import FlowServiceAccess
from shared.adapters.flow_service.flows import FlowServiceReports, FlowServiceSwitch
from shared.adapters.flow_service.pages import ServiceFlowPages
from shared.adapters.flow_service.placement import FlowServicePlacement
from shared.adapters.http.client import HttpClient, Service
from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps
from shared.adapters.power_apps.connections import PowerAppsConnections
from shared.adapters.power_platform import admin as power_platform_admin
from shared.adapters.power_platform.admin import PowerPlatformAdmin
from shared.domain.environment import Environment
from tests.contract.tenant_world import (
    APP_CLIENT,
    ENVIRONMENT,
    GROUP,
    HTTP_FLOW,
    SEED,
    TENANT_ID,
    TenantWorld,
)
from tests.twins.ports import PlatformPorts

SUBSCRIPTION = GROUP.split("/")[2]
SITE_ID = f"{GROUP}/providers/Microsoft.Web/sites/shop"
VAULT_URL = "https://kv-cmk.vault.azure.net"
OPERATOR = OperatorSettings(
    tenant_id=TENANT_ID,
    client_id="a0000000-0000-4000-8000-0000000000c2",
    cache_secret=f"{VAULT_URL}/secrets/operator-token-cache",
)


def description() -> dict[str, Any]:
    """Return the seed of the Power Platform tests with what the Azure adapters read."""
    full = deepcopy(SEED)
    http_flow = full["environments"][0]["flows"][0]
    http_flow["runs"] = [{"secondsAgo": age} for age in (50, 400, 4000)]
    azure = full["azure"]
    azure["subscriptions"] = [{"subscriptionId": SUBSCRIPTION, "displayName": "Integration"}]
    azure["vaults"][0]["secrets"] = [
        {
            "name": "orders-url",
            "value": f"{{{{trigger_url:{HTTP_FLOW}}}}}",
            "contentType": "text/uri",
            "tags": {"team": "orders"},
        }
    ]
    azure["sites"] = [
        {"id": SITE_ID, "hostNames": ["Shop.contoso.example"], "appSettings": {"COLOUR": "blue"}}
    ]
    return full


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters(PlatformPorts):
    """Every adapter, and the tenant behind them."""

    world: TenantWorld
    http: HttpClient
    operator: OperatorCredential
    #: Key Vault, for calls that no adapter makes.
    vaults: Service

    async def environment(self) -> Environment:
        """Return the environment that most tests are about."""
        return await self.environments.get(ENVIRONMENT)

    async def sign_in(self) -> None:
        """Let the operator sign in."""
        await self.operator.sign_in(flow_service.SCOPE, lambda _: None)


def trusting_transport(ca_file: str) -> AioHttpTransport:
    """Return the product's transport, with a trust that aiohttp would read when it is imported.

    By the connector, which keeps connections: `connection_verify` would make one for each call.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_file)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        auto_decompress=False,
    )
    return AioHttpTransport(session=session)


@asynccontextmanager
async def adapters(
    monkeypatch: pytest.MonkeyPatch, described: dict[str, Any] | None = None
) -> AsyncIterator[Adapters]:
    """Start a tenant and point all that goes out at it, by the environment alone."""
    tenant = Tenant()
    seed(tenant, described or description())
    async with TenantServer(tenant) as server, aiohttp.ClientSession() as session:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.identity_endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", server.identity_header)
        http = HttpClient(trusting_transport(server.ca_file))
        credential = application_credential(APP_CLIENT)
        yield _built(TenantWorld(tenant=tenant, server=server, session=session), http, credential)
        await http.close()
        await credential.close()


def _built(world: TenantWorld, http: HttpClient, application: Any) -> Adapters:
    def service(name: str, scope: str, credential: Any = application) -> Service:
        return Service(name=name, scope=scope, credential=credential)

    arm = service("Azure Resource Manager", resource_manager.SCOPE)
    flows = service("Flow service", flow_service.SCOPE)
    admin = service("Power Platform admin", power_platform_admin.SCOPE)
    resources = ResourceManager(http, arm, [SUBSCRIPTION])
    vaults = service("Key Vault", key_vault.SCOPE)
    contents = VaultContents(http, vaults)
    secrets = VaultSecrets(contents, resources)
    operator = OperatorCredential(OPERATOR, secrets)
    as_operator = service("Flow service", flow_service.SCOPE, operator)
    dataverse = Dataverse(http, application)
    return Adapters(
        world=world,
        http=http,
        environments=PowerPlatformAdmin(http, admin),
        flow_reports=FlowServiceReports(http, flows),
        flow_pages=ServiceFlowPages(http, dataverse, flows),
        flow_switch=FlowServiceSwitch(http, flows),
        flow_placement=FlowServicePlacement(http, flows),
        flow_access=FlowServiceAccess(http, flows, as_operator, operator),
        workflows=DataverseWorkflows(dataverse),
        connection_references=DataverseConnectionReferences(dataverse),
        flow_sharing=DataverseSharing(dataverse),
        principals=DataversePrincipals(dataverse),
        solutions=DataverseSolutions(dataverse),
        environment_variables=DataverseEnvironmentVariables(dataverse),
        app_settings=SiteAppSettings(resources),
        secrets=secrets,
        keys=VaultKeys(contents, resources),
        service_tags=DiscoveredServiceTags(http, arm, SUBSCRIPTION),
        resources=resources,
        connections=PowerAppsConnections(http, admin),
        canvas_apps=PowerAppsCanvasApps(http, admin),
        machine_groups=DataverseMachineGroups(dataverse),
        organization=DataverseOrganization(dataverse),
        operator=operator,
        vaults=vaults,
    )

"""Build all adapters of the app against a local tenant, over TLS and a proxy."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import aiohttp
import pytest
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.transport import AioHttpTransport

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from local_cloud.tenant.serving.services import SERVICES
from shared.adapters.entra.identity import (
    ServiceAccountCredential,
    ServiceAccountSettings,
    build_application_credential,
)
from shared.adapters.http.client import HttpClient
from shared.adapters.http.transport import PlainTransport
from shared.adapters.system_clock import SystemClock
from shared.bootstrap.core_services import CoreServices
from shared.bootstrap.microsoft_services import MicrosoftServices
from shared.domain.clouds import PUBLIC
from shared.domain.environment import Environment
from shared.ports import PlatformPorts
from shared.settings import Settings
from shared.state.circuit_breakers import CircuitBreakers
from shared.state.tables import Tables
from tests.fakes.azure_caller_builder import SECRETS_USER
from tests.fakes.memory_store import MemoryStore
from tests.kinds.cases import find_opt_in_places
from tests.local_cloud.tenant.tenant_world import (
    APP,
    APP_CLIENT,
    ENVIRONMENT,
    GROUP,
    HTTP_FLOW,
    SEED,
    TENANT_ID,
    TenantWorld,
)

SUBSCRIPTION = GROUP.split("/")[2]
SITE_ID = f"{GROUP}/providers/Microsoft.Web/sites/shop"
CONTAINER_APP = f"{GROUP}/providers/Microsoft.App/containerApps/kiosk"
_CONTAINER_APP = {
    "provisioningState": "Succeeded",
    "configuration": {
        "activeRevisionsMode": "Single",
        "secrets": [
            {"name": "flow", "value": "old"},
            {"name": "db", "keyVaultUrl": "https://kv.example/secrets/db", "identity": "system"},
        ],
    },
    "template": {
        "containers": [{"name": "web", "env": [{"name": "FLOW", "secretRef": "flow"}]}],
    },
}
#: Object id of the app's identity.
SITE_IDENTITY = "51000000-0000-4000-8000-000000000001"
SYNAPSE = f"{GROUP}/providers/Microsoft.Synapse/workspaces/contoso"
VAULT_URL = "https://kv-cmk.vault.azure.net"
#: More calls a minute than any test makes.
PLENTY = 1_000_000
#: Object id of the service account's application.
OPERATOR_APP = "a0000000-0000-4000-8000-0000000000c1"
OPERATOR = ServiceAccountSettings(
    tenant_id=TENANT_ID,
    client_id="a0000000-0000-4000-8000-0000000000c2",
    cache_secret=f"{VAULT_URL}/secrets/operator-token-cache",
    authority=PUBLIC.authority_url,
)


def build_description() -> dict[str, Any]:
    full = deepcopy(SEED)
    operator = {"id": OPERATOR_APP, "clientId": OPERATOR.client_id, "name": "Service account"}
    full["directory"]["applications"].append(operator)
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
    azure["configurationStores"] = [
        {
            "id": f"{GROUP}/providers/Microsoft.AppConfiguration/configurationStores/contoso",
            "keyValues": [
                {"key": "Colour", "value": "blue", "tags": {"team": "shop"}},
                {"key": "Colour", "label": "p&d", "value": "red", "contentType": "text/plain"},
                {"key": "Fixed", "value": "green", "locked": True},
            ],
        }
    ]
    azure["resources"] = [
        {"id": SYNAPSE, "type": "Microsoft.Synapse/workspaces", "properties": {}, "members": [APP]},
        *(
            {
                "id": f"{SYNAPSE}/pipelines/{name}",
                "type": "Microsoft.Synapse/workspaces/pipelines",
                "properties": {"activities": [], "description": name},
            }
            for name in ("load", "Send mail")
        ),
    ]
    azure["containerApps"] = [{"id": CONTAINER_APP, "properties": _CONTAINER_APP}]
    azure["sites"] = [
        {
            "id": SITE_ID,
            "hostNames": ["Shop.contoso.example"],
            "identity": {"type": "SystemAssigned", "principalId": SITE_IDENTITY},
            "appSettings": {"COLOUR": "blue"},
        }
    ]
    azure["roleAssignments"] = [
        {
            "scope": azure["vaults"][0]["id"],
            "roleDefinitionId": f"/roleDefinitions/{SECRETS_USER}",
            "principalId": SITE_IDENTITY,
        }
    ]
    for places in find_opt_in_places():
        full |= deepcopy(places.standard_seed)
    return full


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters(PlatformPorts):
    world: TenantWorld
    http: HttpClient
    operator: ServiceAccountCredential

    async def read_environment(self) -> Environment:
        return await self.environments.get(ENVIRONMENT)

    async def sign_in(self) -> None:
        await self.operator.sign_in(PUBLIC.flow_service_scope, lambda _: None)


def build_trusting_transport(ca_file: str) -> PlainTransport:
    """Return the app's transport, which trusts the local tenant's certificate authority. aiohttp
    would read `SSL_CERT_FILE` only when it is imported.

    The certificate is given to the connector, which keeps connections; the option
    `connection_verify` would create a connector for each request.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_file)),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    return PlainTransport(AioHttpTransport(session=session))


@asynccontextmanager
async def run_adapters(
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any] | None = None,
    services: Sequence[Service] = SERVICES,
) -> AsyncIterator[Adapters]:
    """Start a local tenant, point the environment variables to it, and yield the adapters."""
    tenant, described = Tenant(), described or build_description()
    seed(tenant, described)
    async with TenantServer(tenant, services) as server, aiohttp.ClientSession() as session:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.identity_endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", server.identity_header)
        http = HttpClient(build_trusting_transport(server.ca_file))
        credential = build_application_credential(APP_CLIENT)
        world = TenantWorld(tenant=tenant, server=server, session=session)
        yield _build_adapters(world, http, credential, _choose_scopes(described))
        await http.close()
        await credential.close()


def _choose_scopes(described: dict[str, Any]) -> dict[str, Any]:
    scopes: dict[str, Any] = {}
    for places in find_opt_in_places():
        scopes |= places.settings if places.standard_seed.keys() <= described.keys() else {}
    return scopes


def _build_adapters(
    world: TenantWorld,
    http: HttpClient,
    credential: AsyncTokenCredential,
    scopes: dict[str, Any],
) -> Adapters:
    settings = Settings(
        tenant_id=TENANT_ID,
        subscription_ids=(SUBSCRIPTION,),
        client_id=APP_CLIENT,
        **scopes,
        service_account_client_id=OPERATOR.client_id,
        service_account_token_cache_secret=OPERATOR.cache_secret,
        flow_service_requests_per_minute=PLENTY,
        flow_service_requests_per_day=PLENTY,
        full_comparison_requests_per_minute=PLENTY,
        dataverse_requests_per_minute=PLENTY,
        resource_manager_requests_per_minute=PLENTY,
    )
    clock, store = SystemClock(), MemoryStore()
    ground = CoreServices(
        settings=settings,
        closing=AsyncExitStack(),
        credential=credential,
        clock=clock,
        store=store,
        circuits=CircuitBreakers(Tables(store), clock, settings),
        http=http,
    )
    ports = MicrosoftServices(ground).build_ports()
    return Adapters(
        world=world,
        http=http,
        operator=ServiceAccountCredential(OPERATOR, ports.secrets),
        **{one.name: getattr(ports, one.name) for one in fields(ports)},
    )

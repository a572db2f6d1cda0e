"""Signs the operator in with the app's own credential class, so that the app reads what it keeps.

Imported when the command runs: it brings azure-identity, msal and aiohttp along.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import AzureCliCredential

from shared.adapters.azure import key_vault, resource_manager
from shared.adapters.azure.key_vault_secrets import VaultSecrets
from shared.adapters.entra.identity import (
    ServiceAccountCredential,
    ServiceAccountSettings,
    application_credential,
)
from shared.adapters.flow_service import service as flow_service
from shared.adapters.http.client import HttpClient, HttpService, default_transport


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretWriterIdentity:
    """Who writes the secret."""

    #: True: this machine's managed identity; False: the account of `az login`.
    is_managed: bool
    client_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountSignIn:
    """Whom to sign in, and where the token cache is kept."""

    tenant_id: str
    client_id: str
    cache_secret: str
    identity: SecretWriterIdentity


async def sign_in(order: ServiceAccountSignIn, show: Callable[[str], None]) -> None:
    """Sign a person in; `show` gets what to do. Raises `CmkflowError`, `ValueError`."""
    async with AsyncExitStack() as closing:
        credential: AsyncTokenCredential = (
            application_credential(order.identity.client_id)
            if order.identity.is_managed
            else AzureCliCredential(tenant_id=order.tenant_id)
        )
        closing.push_async_callback(credential.close)
        http = HttpClient(default_transport())
        closing.push_async_callback(http.close)
        vaults = HttpService(name="Key Vault", scope=key_vault.SCOPE, credential=credential)
        arm = HttpService(
            name="Azure Resource Manager", scope=resource_manager.SCOPE, credential=credential
        )
        secrets = VaultSecrets(
            key_vault.VaultClient(http, vaults),
            resource_manager.ResourceManager(http, arm, subscriptions=()),
        )
        settings = ServiceAccountSettings(
            tenant_id=order.tenant_id, client_id=order.client_id, cache_secret=order.cache_secret
        )
        await ServiceAccountCredential(settings, secrets).sign_in(flow_service.SCOPE, show)

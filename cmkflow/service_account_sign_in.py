"""Sign in the service account, and store its tokens where the app reads them.

Imported only when the command runs, because azure-identity, msal and aiohttp load slowly.
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
    build_application_credential,
)
from shared.adapters.http.client import HttpClient, HttpService, build_default_transport
from shared.domain.clouds import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountSignIn:
    """The service account's tenant and client, and the Key Vault secret for its token cache."""

    tenant_id: str
    client_id: str
    cache_secret: str
    cloud: Cloud
    #: Whether this machine's managed identity writes the secret, and not the account of `az login`.
    is_managed_identity: bool
    #: Client id of the managed identity.
    identity_client_id: str


async def sign_in_and_store_tokens(
    account: ServiceAccountSignIn, show: Callable[[str], None]
) -> None:
    """Sign in the service account with a device code, and store its tokens. `show` prints the
    instructions. Raises `CmkflowError` if a request fails, and `ValueError` if a setting is not
    valid.
    """
    cloud = account.cloud
    async with AsyncExitStack() as closing:
        credential: AsyncTokenCredential = (
            build_application_credential(account.identity_client_id)
            if account.is_managed_identity
            else AzureCliCredential(tenant_id=account.tenant_id)
        )
        closing.push_async_callback(credential.close)
        http = HttpClient(build_default_transport())
        closing.push_async_callback(http.close)
        vaults = HttpService(name="Key Vault", scope=cloud.key_vault_scope, credential=credential)
        arm = HttpService(
            name="Azure Resource Manager", scope=cloud.resource_manager_scope, credential=credential
        )
        secrets = VaultSecrets(
            key_vault.VaultClient(http, vaults),
            resource_manager.ResourceManager(http, arm, subscriptions=(), cloud=cloud),
        )
        settings = ServiceAccountSettings(
            tenant_id=account.tenant_id,
            client_id=account.client_id,
            cache_secret=account.cache_secret,
            authority=cloud.authority_url,
        )
        await ServiceAccountCredential(settings, secrets).sign_in(cloud.flow_service_scope, show)

"""Read a public key from its vault, as the account of `az login`.

Imported only when it is needed, because azure-identity and aiohttp load slowly.
"""

from azure.identity.aio import AzureCliCredential

from shared.adapters.azure import key_vault
from shared.adapters.azure.signing_keys import VaultSigningKeys
from shared.adapters.http.client import HttpClient, HttpService, build_default_transport
from shared.domain.clouds import find_cloud_of_vault
from shared.domain.signature import SigningKey


async def read_signing_key(key_id: str) -> SigningKey:
    """Read a public key from its vault. Raises `CmkflowError` if that fails."""
    async with AzureCliCredential() as credential:
        http = HttpClient(build_default_transport())
        try:
            scope = find_cloud_of_vault(key_id).key_vault_scope
            vaults = HttpService(name="Key Vault", scope=scope, credential=credential)
            return await VaultSigningKeys(key_vault.VaultClient(http, vaults)).read(key_id)
        finally:
            await http.close()

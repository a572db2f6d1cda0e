"""Sign the service account in by device code, and store its token cache for the app."""

import asyncio

import requests
from msal import PublicClientApplication, SerializableTokenCache

from local_cloud.demo.azure import OPERATOR_SECRET
from local_cloud.demo.platform import Platform
from local_cloud.demo.scope import APPLICATION_VAULT
from local_cloud.demo.tenant import OPERATOR_CLIENT_ID, TENANT_ID
from local_cloud.stack import TenantAddress

_SCOPE = "https://service.flow.microsoft.com//.default"


async def sign_in_operator(platform: Platform, address: TenantAddress) -> None:
    """Sign the service account in, and store its tokens.

    Raises `RuntimeError` if the tenant rejects it.
    """
    cache = await asyncio.to_thread(_sign_in, address)
    await platform.write_secret(APPLICATION_VAULT, OPERATOR_SECRET, cache)


def _sign_in(address: TenantAddress) -> str:
    cache = SerializableTokenCache()
    session = requests.Session()
    session.trust_env = False  # this machine's own proxy and certificates are other ones
    session.proxies, session.verify = {"https": address.proxy}, address.ca_file
    client = PublicClientApplication(
        OPERATOR_CLIENT_ID,
        authority=f"https://login.microsoftonline.com/{TENANT_ID}",
        token_cache=cache,
        http_client=session,
    )
    flow = client.initiate_device_flow([_SCOPE])
    found = client.acquire_token_by_device_flow(flow)
    if "access_token" not in found:
        raise RuntimeError(f"the operator cannot sign in: {found.get('error')}")
    return str(cache.serialize())

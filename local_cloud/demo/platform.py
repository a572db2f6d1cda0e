"""Act on the tenant as the demo's people do, for example rotate a key or write a secret.

Most actions are requests to the platform's own operations over TLS. The tenant's control API is
used to link an environment, and for what no person could see or cause.
"""

import ssl
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from local_cloud.demo.scope import SUBSCRIPTION
from local_cloud.stack import TenantAddress

type Json = dict[str, Any]

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_NETWORK_API = "2023-09-01"
_VAULT_API = "7.4"


class Platform:
    def __init__(self, address: TenantAddress) -> None:
        """Create the client; its `async with` block opens and closes its connections."""
        self._address = address
        self._session: aiohttp.ClientSession | None = None
        self._tls = ssl.create_default_context(cafile=address.ca_file)
        self._tokens: dict[str, str] = {}
        #: Requests of this client, by the tenant's name of the operation.
        self.own_calls: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=100)
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("enter the platform's block first")
        return self._session

    async def request_token(self, resource: str) -> str:
        if resource not in self._tokens:
            async with self.session.get(
                self._address.identity_endpoint,
                params={"resource": resource, "api-version": "2019-08-01"},
                headers={"X-IDENTITY-HEADER": self._address.identity_header},
            ) as answer:
                answer.raise_for_status()
                self._tokens[resource] = (await answer.json())["access_token"]
        return self._tokens[resource]

    async def call_outside(
        self, method: str, url: str, *, headers: dict[str, str], body: Json | None = None
    ) -> tuple[int, str]:
        """Send a request to a public host through the tenant's proxy. Returns status and text."""
        async with self.session.request(
            method, url, headers=headers, json=body, proxy=self._address.proxy, ssl=self._tls
        ) as answer:
            return answer.status, await answer.text()

    async def call_control(
        self, method: str, path: str, body: Json | None = None, **query: str
    ) -> Any:
        """Call the tenant's control API. Returns None if the response is empty."""
        url = self._address.control + path
        async with self.session.request(method, url, json=body, params=query) as answer:
            answer.raise_for_status()
            return await answer.json() if await answer.read() else None

    async def link(self, environment: str, policy_system_id: str) -> None:
        await self.call_control(
            "POST", f"/environments/{environment}/link", {"systemId": policy_system_id}
        )

    async def rotate_key(self, vault: str, key: str) -> None:
        await self._call_vault("POST", f"https://{vault}.vault.azure.net/keys/{key}/rotate")
        self._count_request("key_vault.rotate_key")

    async def read_secret(self, vault: str, name: str) -> str:
        text = await self._call_vault("GET", f"https://{vault}.vault.azure.net/secrets/{name}")
        self._count_request("key_vault.get_secret")
        return str(text["value"])

    async def write_secret(self, vault: str, name: str, value: str) -> None:
        url = f"https://{vault}.vault.azure.net/secrets/{name}"
        await self._call_vault("PUT", url, {"value": value, "contentType": "application/json"})
        self._count_request("key_vault.set_secret")

    async def read_configuration(self, store: str, key: str) -> str:
        url = f"https://{store}.azconfig.io/kv/{quote(key, safe='')}?api-version=2023-11-01"
        found = await self._call_service("GET", url, "https://azconfig.io", None)
        self._count_request("app_configuration.get_key_value")
        return str(found["value"])

    async def call_azure(self, method: str, path: str, api_version: str, route: str) -> Json:
        """Send a request to Azure Resource Manager, counted as the operation `route`."""
        url = f"https://management.azure.com{path}?api-version={api_version}"
        found = await self._call_service(method, url, "https://management.azure.com", None)
        self._count_request(f"resource_manager.{route}")
        return found

    async def read_running_settings(self, site_id: str) -> dict[str, str]:
        """Return a site's settings as its code sees them: Key Vault references are resolved."""
        found: Json = await self.call_control("GET", "/azure/site", id=site_id)
        settings: dict[str, str] = found["settings"]
        return settings

    async def cancel_run(self, environment: str, flow: str, run: str) -> None:
        where = f"scopes/admin/environments/{environment}/flows/{flow}/runs/{run}/cancel"
        token = await self.request_token("https://service.flow.microsoft.com/")
        status, text = await self.call_outside(
            "POST",
            f"https://emea.api.flow.microsoft.com/providers/Microsoft.ProcessSimple/{where}"
            "?api-version=2016-11-01",
            headers={"Authorization": f"Bearer {token}"},
        )
        if status >= 400:
            raise RuntimeError(f"the run was not cancelled: {status} {text}")
        self._count_request("flow_service.admin_cancel_run")

    async def read_service_tags(self) -> Json:
        where = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/locations/westeurope"
        url = f"https://management.azure.com{where}/serviceTags?api-version={_NETWORK_API}"
        found = await self._call_service("GET", url, "https://management.azure.com", None)
        self._count_request("resource_manager.list_service_tags")
        return found

    def _count_request(self, route: str) -> None:
        self.own_calls[route] = self.own_calls.get(route, 0) + 1

    async def _call_vault(self, method: str, url: str, body: Json | None = None) -> Json:
        return await self._call_service(
            method, f"{url}?api-version={_VAULT_API}", "https://vault.azure.net", body
        )

    async def _call_service(self, method: str, url: str, audience: str, body: Json | None) -> Json:
        headers = {"Authorization": f"Bearer {await self.request_token(audience)}"}
        async with self.session.request(
            method, url, headers=headers, json=body, proxy=self._address.proxy, ssl=self._tls
        ) as answer:
            answer.raise_for_status()
            found: Json = await answer.json()
            return found

r"""A script that migrates flows with as few requests as possible, one at a time or several.

The settings of an app contain the URL of each flow. The script's user is an administrator and a
co-owner of every flow. The script reads back each write; it handles no error and no interruption,
and cannot roll back. Run as a program, it migrates the first flows of `many_flows.py` in the tenant
that its environment variables name, and prints the cost as JSON:

    HTTPS_PROXY=… REQUESTS_CA_BUNDLE=… IDENTITY_ENDPOINT=… IDENTITY_HEADER=… \
        python -m tests.performance.by_hand 50 1 1

Flows that share an app need one at a time, because a write replaces all settings of the app.
"""

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import yarl
from msal import PublicClientApplication

from tests.functional.wire.wire_seed import OPERATOR, SUBSCRIPTION
from tests.local_cloud.tenant.tenant_world import ADMIN_FLOWS, MAKER_FLOWS, ORG, ORG_API, TENANT_ID
from tests.performance.many_flows import build_flow_ids, build_site_id

FLOW_SCOPE = "https://service.flow.microsoft.com/"
ARM = "https://management.azure.com"
#: Any public client will do.
CLIENT = "a0000000-0000-4000-8000-0000000000e1"
ON, OFF = {"statecode": 1, "statuscode": 2}, {"statecode": 0, "statuscode": 1}

type Json = dict[str, Any]


@dataclass(slots=True)
class ByHand:
    """A client that opens one connection per host and requests each access token once."""

    session: aiohttp.ClientSession
    as_operator: str
    _tokens: dict[str, str] = field(default_factory=dict)

    async def migrate(self, flow_id: str, site: str) -> None:
        """Replace one flow by a copy, with the requests of a person's script.

        Raises `RuntimeError` if one is rejected.
        """
        listed = await self._call_flow_service("GET", f"{ADMIN_FLOWS}/nonCmkMigratedFlows")
        assert flow_id in _get_names(listed) or "nextLink" in listed

        original = await self._call_dataverse("GET", flow_id)
        copy_id = str(uuid4())
        draft = {
            "category": 5,
            "type": 1,
            "primaryentity": "none",
            "name": f"{original['name']} (copy)",
            "clientdata": original["clientdata"],
        }
        as_owner = {"MSCRMCallerID": original["_ownerid_value"]}
        await self._call_dataverse("PATCH", copy_id, draft, {"If-None-Match": "*", **as_owner})
        assert (await self._call_dataverse("GET", copy_id))["clientdata"] == original["clientdata"]
        await self._call_dataverse("PATCH", copy_id, ON, as_owner)
        assert (await self._call_dataverse("GET", copy_id))["statecode"] == 1
        copy_name = (await self._call_flow_service("GET", f"{ADMIN_FLOWS}/flows/{copy_id}"))["name"]
        assert copy_name not in _get_names(
            await self._call_flow_service("GET", f"{ADMIN_FLOWS}/nonCmkMigratedFlows")
        )

        role = {"properties": {"principal": {"id": OPERATOR, "type": "User"}}}
        role["properties"]["roleName"] = "CanEdit"  # type: ignore[assignment]
        permissions = f"{ADMIN_FLOWS}/flows/{copy_name}/modifyPermissions"
        await self._call_flow_service("POST", permissions, {"put": [role]})
        new, old = await self._read_trigger_url(copy_name), await self._read_trigger_url(flow_id)
        await self._replace_url(site, old, new)

        runs = f"{ADMIN_FLOWS}/flows/{flow_id}/runs"
        assert (await self._call_flow_service("GET", runs))["value"] == []
        # Days go by.
        assert (await self._call_flow_service("GET", runs))["value"] == []
        await self._call_dataverse("PATCH", flow_id, OFF)
        assert (await self._call_dataverse("GET", flow_id))["statecode"] == 0
        await self._call_dataverse("PATCH", flow_id, {"name": f"{original['name']} (retired)"})
        await self._call_dataverse("PATCH", copy_id, {"name": original["name"]})
        await self._call_flow_service("POST", permissions, {"delete": [{"id": OPERATOR}]})

    async def _replace_url(self, site: str, old: str, new: str) -> None:
        sites = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Web/sites"
        listed = await self._call_arm("GET", sites)
        assert site in {one["id"] for one in listed["value"]} or "nextLink" in listed
        settings = (await self._call_arm("POST", f"{site}/config/appsettings/list"))["properties"]
        changed = {name: new if value == old else value for name, value in settings.items()}
        assert changed != settings
        await self._call_arm("PUT", f"{site}/config/appsettings", {"properties": changed})
        assert (await self._call_arm("POST", f"{site}/config/appsettings/list"))[
            "properties"
        ] == changed

    async def _read_trigger_url(self, flow_name: str) -> str:
        url = f"{MAKER_FLOWS}/flows/{flow_name}/triggers/manual/listCallbackUrl"
        answer = await self._call("POST", f"{url}?api-version=2016-11-01", self.as_operator, {})
        return str((answer.get("response") or answer)["value"])

    async def _call_flow_service(self, method: str, url: str, body: Json | None = None) -> Json:
        token = await self._request_token(FLOW_SCOPE)
        return await self._call(method, f"{url}?api-version=2016-11-01", token, body)

    async def _call_dataverse(
        self,
        method: str,
        flow_id: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return await self._call(
            method, f"{ORG_API}/workflows({flow_id})", await self._request_token(ORG), body, headers
        )

    async def _call_arm(self, method: str, path: str, body: Json | None = None) -> Json:
        return await self._call(
            method, f"{ARM}{path}?api-version=2024-11-01", await self._request_token(ARM), body
        )

    async def _call(
        self,
        method: str,
        url: str,
        token: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        authorized = {"Authorization": f"Bearer {token}", **(headers or {})}
        asked = self.session.request(
            method, yarl.URL(url), json=body, headers=authorized, proxy=os.environ["HTTPS_PROXY"]
        )
        async with asked as answer:
            content = await answer.read()
            if not answer.ok:
                raise RuntimeError(f"{method} {url}: {answer.status} {content[:300]!r}")
            return json.loads(content) if content else {}

    async def _request_token(self, resource: str) -> str:
        if resource not in self._tokens:
            async with self.session.get(
                os.environ["IDENTITY_ENDPOINT"],
                params={"resource": resource, "api-version": "2019-08-01"},
                headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]},
            ) as answer:
                self._tokens[resource] = (await answer.json())["access_token"]
        return self._tokens[resource]


def _get_names(listed: Json) -> set[str]:
    return {one["name"] for one in listed["value"]}


@asynccontextmanager
async def open_script_client() -> AsyncIterator[ByHand]:
    """Sign in and yield the client. Environment variables name the proxy and the certificates."""
    trust = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    token = await asyncio.to_thread(_get_service_account_token)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        yield ByHand(session, token)


def _get_service_account_token() -> str:
    client = PublicClientApplication(
        CLIENT, authority=f"https://login.microsoftonline.com/{TENANT_ID}"
    )
    device = client.initiate_device_flow([f"{FLOW_SCOPE}/.default"])
    return str(client.acquire_token_by_device_flow(device)["access_token"])


async def _migrate_all(flows: int, flows_per_app: int, flows_at_once: int) -> None:
    """Migrate the flows, and print the seconds from the first to the last request.

    The sign-in does not count.
    """
    waiting = iter(enumerate(build_flow_ids(flows)))
    async with open_script_client() as hand:

        async def migrate_waiting_flows() -> None:
            for number, flow_id in waiting:
                await hand.migrate(flow_id, build_site_id(number, flows_per_app))

        began, busy = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(flows_at_once):
                group.create_task(migrate_waiting_flows())
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - busy}
    print(json.dumps(took))


if __name__ == "__main__":
    asyncio.run(_migrate_all(*map(int, sys.argv[1:])))

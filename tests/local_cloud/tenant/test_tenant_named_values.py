import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import (
    ARM,
    GROUP_ID,
    SITE_IDENTITY,
    Answer,
    AzureWorld,
    serve_azure_world,
)

SERVICE = f"{GROUP_ID}/providers/Microsoft.ApiManagement/service/apis"
NAMED_VALUE = f"{SERVICE}/namedValues/flow"
URI = "https://kv-cmk.vault.azure.net/secrets/orders-url"
BEFORE = {"displayName": "flow", "secret": False, "value": "https://flow.example/0"}
READER, OTHER = "client of reader", "client of other"


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    assigned = {
        "/identities/reader": {"principalId": SITE_IDENTITY, "clientId": READER},
        "/identities/other": {"principalId": "other", "clientId": OTHER},
    }
    identity = {"principalId": "no right", "userAssignedIdentities": assigned}
    service = {"id": SERVICE, "type": "Microsoft.ApiManagement/service", "identity": identity}
    kind = f"{service['type']}/namedValues"
    named_value = {"id": NAMED_VALUE, "type": kind, "properties": BEFORE}
    async with serve_azure_world() as served:
        seed_azure(served.tenant, {"resources": [service | {"properties": {}}, named_value]})
        yield served


async def put_named_value(world: AzureWorld, **properties: Any) -> Answer:
    etag = (await world.call_arm("GET", NAMED_VALUE)).headers["ETag"]
    body = {"properties": {"displayName": "flow", "secret": True, **properties}}
    token = world.credential.issue_token(ARM).token
    request = world.session.put(
        f"{ARM}{NAMED_VALUE}?api-version=2023-07-01",
        json=body,
        headers={"Authorization": f"Bearer {token}", "If-Match": etag},
        proxy=world.server.proxy_url,
        ssl=ssl.create_default_context(cafile=world.server.ca_file),
    )
    async with request as response:
        content = json.loads(await response.text() or "null")
        return Answer(status=response.status, headers=response.headers, body=content)


async def read_named_value(world: AzureWorld) -> tuple[Any, Any]:
    shown = (await world.call_arm("GET", NAMED_VALUE)).body["properties"]
    return shown, (await world.call_arm("POST", f"{NAMED_VALUE}/listValue")).body["value"]


async def test_identity_that_the_reference_names_reads_the_secret(world: AzureWorld) -> None:
    accepted = await put_named_value(
        world, keyVault={"secretIdentifier": URI, "identityClientId": READER}
    )
    polled = await world.call("GET", accepted.headers["Location"])
    shown, value = await read_named_value(world)

    assert (accepted.status, polled.status) == (202, 200)
    assert value == "https://flow.example/1"
    assert shown["keyVault"]["identityClientId"] == READER
    assert shown["keyVault"]["lastStatus"]["code"] == "Success"


@pytest.mark.parametrize("client", [None, OTHER, "client of nobody"])
async def test_reference_that_cannot_be_read_fails_after_it_is_accepted(
    world: AzureWorld, client: str | None
) -> None:
    accepted = await put_named_value(
        world, keyVault={"secretIdentifier": URI, "identityClientId": client}
    )
    polled = await world.call("GET", accepted.headers["Location"])

    assert (accepted.status, polled.status) == (202, 400)
    assert "Failed to access KeyVault Secret" in str(polled.body)
    assert await read_named_value(world) == (BEFORE, BEFORE["value"])


async def test_reference_that_is_no_secret_is_rejected(world: AzureWorld) -> None:
    rejected = await put_named_value(world, secret=False, keyVault={"secretIdentifier": URI})

    assert (rejected.status, rejected.body["error"]["code"]) == (400, "ValidationError")
    assert await read_named_value(world) == (BEFORE, BEFORE["value"])


async def test_only_a_patch_needs_an_etag(world: AzureWorld) -> None:
    """`az apim nv update` sends a PUT without an ETag."""
    body = {"properties": BEFORE | {"value": "https://flow.example/2"}}
    patched = await world.call_arm("PATCH", NAMED_VALUE, body)
    put_anyway = await world.call_arm("PUT", NAMED_VALUE, body)

    assert (patched.status, put_anyway.status) == (412, 200)
    assert (await read_named_value(world))[1] == "https://flow.example/2"

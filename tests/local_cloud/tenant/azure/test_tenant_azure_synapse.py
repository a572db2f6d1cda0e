"""Test Synapse workspaces, which accept a PUT first, and save or reject it later."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure.test_tenant_azure_services import build_resource
from tests.local_cloud.tenant.azure_world import (
    CALLER,
    GROUP_ID,
    Answer,
    AzureWorld,
    serve_azure_world,
)

WORKSPACE = f"{GROUP_ID}/providers/Microsoft.Synapse/workspaces/contoso"
HOST = "https://contoso.dev.azuresynapse.net"
AUDIENCE = "https://dev.azuresynapse.net"
PIPELINE = f"{HOST}/pipelines/nightly"
LONG = 30.0


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        listed = [
            build_resource(WORKSPACE) | {"members": [CALLER]},
            build_resource(f"{WORKSPACE}2") | {"readers": [CALLER]},
            build_resource(f"{WORKSPACE}/pipelines/nightly", activities=[]),
            build_resource(f"{WORKSPACE}2/pipelines/nightly", activities=[]),
            build_resource(f"{WORKSPACE}/triggers/daily", type="x", runtimeState="Started"),
        ]
        seed_azure(served.tenant, {"resources": listed})
        served.tenant.get_part(PowerPlatform).assumptions.artifact_save_seconds = LONG
        yield served


async def call_synapse(
    world: AzureWorld, method: str, url: str, body: Any = None, *, etag: str = ""
) -> Answer:
    query = {} if "?" in url else {"api-version": "2020-12-01"}
    return await world.call(method, url, body, audience=AUDIENCE, etag=etag, **query)


def build_body(**properties: Any) -> dict[str, Any]:
    return {"name": "nightly", "properties": properties}


async def test_save_is_shown_when_it_is_complete(world: AzureWorld) -> None:
    before = (await call_synapse(world, "GET", PIPELINE)).body
    accepted = await call_synapse(
        world, "PUT", PIPELINE, build_body(activities=[], description="x")
    )
    running = await call_synapse(world, "GET", accepted.headers["Location"])
    meanwhile = (await call_synapse(world, "GET", PIPELINE)).body
    world.tenant.clock.advance(LONG)
    ended = await call_synapse(world, "GET", accepted.headers["Location"])

    assert (accepted.status, accepted.body["state"]) == (202, "Updating")
    assert (running.status, running.body) == (202, {"status": "InProgress"})
    assert meanwhile == before
    assert (ended.status, ended.body) == (200, (await call_synapse(world, "GET", PIPELINE)).body)
    assert ended.body["properties"]["description"] == "x"
    assert ended.body["etag"] != before["etag"]


@pytest.mark.parametrize(
    ("path", "properties", "code"),
    [
        ("pipelines/nightly", None, "BadRequest"),
        ("pipelines/nightly", {"activities": {}}, "BadRequest"),
        ("linkedservices/crm", {"typeProperties": {}}, "BadRequest"),
        ("notebooks/mail", {"cells": []}, "BadRequest"),
        (
            "datasets/crm",
            {
                "type": "Json",
                "linkedServiceName": {"type": "LinkedServiceReference", "referenceName": "gone"},
            },
            "BadRequest",
        ),
        ("triggers/daily", {"type": "x"}, "TriggerEnabledCannotUpdate"),
    ],
)
async def test_rejected_save_fails_after_it_was_accepted(
    world: AzureWorld, path: str, properties: object, code: str
) -> None:
    url = f"{HOST}/{path}"
    before = await call_synapse(world, "GET", url)
    accepted = await call_synapse(world, "PUT", url, {"properties": properties})
    world.tenant.clock.advance(LONG)
    ended = await call_synapse(world, "GET", accepted.headers["Location"])

    assert (accepted.status, ended.status) == (202, 200)
    assert (ended.body["status"], ended.body["error"]["code"]) == ("Failed", code)
    assert (await call_synapse(world, "GET", url)).body == before.body


async def test_save_with_another_etag_changes_nothing(world: AzureWorld) -> None:
    etag = (await call_synapse(world, "GET", PIPELINE)).body["etag"]
    first = await call_synapse(world, "PUT", PIPELINE, build_body(description="1"), etag=etag)
    second = await call_synapse(world, "PUT", PIPELINE, build_body(description="2"), etag=etag)
    world.tenant.clock.advance(LONG)
    states = [await call_synapse(world, "GET", one.headers["Location"]) for one in (first, second)]
    late = await call_synapse(world, "PUT", PIPELINE, build_body(description="3"), etag=etag)

    assert [one.body.get("status") for one in states] == [None, "Failed"]
    assert states[1].body["error"]["code"] == "PreconditionFailed"
    assert late.status == 412
    assert (await call_synapse(world, "GET", PIPELINE)).body["properties"]["description"] == "1"


async def list_allowed_actions(world: AzureWorld, workspace: str) -> list[str]:
    """Return which of a read and a write the client's role permits in a workspace."""
    start = "Microsoft.Synapse/workspaces/"
    actions = [{"id": f"{start}{one}"} for one in ("artifacts/read", "pipelines/write")]
    body = {
        "subject": {"principalId": CALLER},
        "actions": actions,
        "scope": f"workspaces/{workspace}",
    }
    url = f"https://{workspace}.dev.azuresynapse.net/checkAccessSynapseRbac"
    decisions = (await call_synapse(world, "POST", url, body)).body["AccessDecisions"]
    allowed = [one["actionId"] for one in decisions if one["accessDecision"] == "Allowed"]
    return [one.removeprefix(start) for one in allowed]


async def test_role_artifact_user_only_reads(world: AzureWorld) -> None:
    """A write needs the role Synapse Artifact Publisher."""
    pipeline = PIPELINE.replace("contoso", "contoso2")

    assert (await call_synapse(world, "GET", pipeline)).status == 200
    assert await list_allowed_actions(world, "contoso2") == ["artifacts/read"]
    assert await list_allowed_actions(world, "contoso") == ["artifacts/read", "pipelines/write"]
    assert (await call_synapse(world, "PUT", pipeline, build_body())).status == 403

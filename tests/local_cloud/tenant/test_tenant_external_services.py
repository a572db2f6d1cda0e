import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.external_services.azure_devops import (
    AUDIENCE,
    AzureDevOps,
    seed_azure_devops,
)
from local_cloud.tenant.external_services.github import seed_github
from tests.local_cloud.tenant.azure_world import CALLER, Answer, AzureWorld, serve_azure_world

ORGANIZATION = "https://dev.azure.com/contoso/_apis"
HOOKS, GROUPS = (
    f"{ORGANIZATION}/hooks/subscriptions",
    f"{ORGANIZATION}/distributedtask/variablegroups",
)
REPOSITORY = "https://api.github.com/repos/contoso/shop"
HOOK = {
    "publisherId": "tfs",
    "eventType": "build.complete",
    "publisherInputs": {},
    "consumerId": "webHooks",
    "consumerActionId": "httpRequest",
    "consumerInputs": {"url": "https://flow.example"},
}
GROUP = {
    "name": "urls",
    "type": "Vsts",
    "variables": {
        "URL": {"value": "https://flow.example"},
        "key": {"value": "x", "isSecret": True},
    },
    "variableGroupProjectReferences": [{"name": "urls", "projectReference": {"id": "p1"}}],
}


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        organization = {"name": "contoso", "members": [CALLER], "projects": [{"id": "p1"}]}
        seed_azure_devops(served.tenant, [organization])
        repository = {"name": "contoso/shop"}
        seed_github(served.tenant, {"token": "secret", "repositories": [repository]})
        yield served


async def call_devops(world: AzureWorld, method: str, url: str, body: Any = None) -> Answer:
    return await world.call(method, url, body, audience=AUDIENCE, **{"api-version": "7.1"})


async def call_github(
    world: AzureWorld, method: str, path: str, body: Any = None, *, scheme: str = "Bearer"
) -> tuple[int, Any]:
    async with world.session.request(
        method,
        REPOSITORY + path,
        json=body,
        headers={"Authorization": f"{scheme} secret"},
        proxy=world.server.proxy_url,
        ssl=ssl.create_default_context(cafile=world.server.ca_file),
    ) as response:
        return response.status, await response.json()


async def test_clients_find_the_resources_of_an_organization(world: AzureWorld) -> None:
    """Before clients know the resources, they send requests without a version of the API."""
    locations = await world.call("OPTIONS", ORGANIZATION, audience=AUDIENCE)
    areas = await call_devops(world, "GET", f"{ORGANIZATION}/ResourceAreas")

    assert {one["resourceName"] for one in locations.body["value"]} == {
        *("ResourceAreas", "projects", "subscriptions", "variablegroups"),
    }
    assert {one["locationUrl"] for one in areas.body["value"]} == {"https://dev.azure.com/contoso/"}


async def test_added_hook_is_listed(world: AzureWorld) -> None:
    added = await call_devops(world, "POST", HOOKS, HOOK)
    rejected = await call_devops(world, "POST", HOOKS, HOOK | {"consumerInputs": {"url": "flow"}})
    listed = await call_devops(world, "GET", HOOKS)

    assert (added.body["status"], rejected.status) == ("enabled", 400)
    assert [one["id"] for one in listed.body["value"]] == [added.body["id"]]


async def test_added_variable_group_has_a_new_name_in_its_project(world: AzureWorld) -> None:
    added = await call_devops(world, "POST", GROUPS, GROUP)
    again = await call_devops(world, "POST", GROUPS, GROUP)
    empty = await call_devops(world, "POST", GROUPS, GROUP | {"name": "none", "variables": {}})

    assert (added.status, again.status, empty.status) == (200, 400, 400)
    assert added.body["variables"]["key"]["value"] is None
    stored = world.tenant.get_part(AzureDevOps).organizations["contoso"].groups
    assert stored["1"]["variables"]["key"]["value"] == "x"


@pytest.mark.parametrize("scheme", ["Bearer", "token"])
async def test_added_webhook_is_unique(world: AzureWorld, scheme: str) -> None:
    body = {"name": "web", "config": {"url": "https://flow.example", "secret": "x"}}
    status, added = await call_github(world, "POST", "/hooks", body, scheme=scheme)
    again, _ = await call_github(world, "POST", "/hooks", body)
    without, _ = await call_github(world, "POST", "/hooks", {"config": {}})

    assert (status, again, without) == (201, 422, 422)
    assert added["config"]["secret"] == "********"
    assert await call_github(world, "GET", "/hooks") == (200, [added])


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("flow", "x", 201),
        ("GITHUB_FLOW", "x", 422),
        ("1FLOW", "x", 422),
        ("FLOW", 1, 422),
        ("there", "x", 409),
    ],
)
async def test_added_variable_has_a_new_valid_name(
    world: AzureWorld, name: str, value: object, status: int
) -> None:
    await call_github(world, "POST", "/actions/variables", {"name": "THERE", "value": "x"})
    body = {"name": name, "value": value}
    answered, _ = await call_github(world, "POST", "/actions/variables", body)
    found, _ = await call_github(world, "GET", f"/actions/variables/{name.upper()}")

    assert answered == status
    assert found == (200 if status in (201, 409) else 404)


async def test_repository_has_its_name(world: AzureWorld) -> None:
    _, repository = await call_github(world, "GET", "")

    assert repository["full_name"] == "contoso/shop"

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import GROUP_ID, AzureWorld, serve_azure_world

APP = f"{GROUP_ID}/providers/Microsoft.App/containerApps/till"


def build_app(variable: str = "blue", **template: Any) -> dict[str, Any]:
    variables = [{"name": "FLOW", "secretRef": "flow"}, {"name": "COLOUR", "value": variable}]
    return {
        "location": "westeurope",
        "properties": {
            "configuration": {"secrets": [{"name": "flow", "value": "old"}]},
            "template": {"containers": [{"name": "web", "env": variables}], **template},
        },
    }


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        seed_azure(served.tenant, {"containerApps": [{"id": APP, **build_app()}]})
        yield served


async def list_revisions(world: AzureWorld) -> list[tuple[str, bool]]:
    """Return each revision's name, and whether it is active."""
    listed = (await world.call_arm("GET", f"{APP}/revisions")).body["value"]
    return [(one["name"], one["properties"]["active"]) for one in listed]


def read_variables(world: AzureWorld, revision: str) -> dict[str, str]:
    return world.tenant.get_part(Azure).container_variables[f"{APP}/revisions/{revision}".lower()]


async def test_only_an_action_returns_values_of_secrets(world: AzureWorld) -> None:
    shown = (await world.call_arm("GET", APP)).body["properties"]["configuration"]["secrets"]
    listed = await world.call_arm("POST", f"{APP}/listSecrets")

    assert shown == [{"name": "flow"}]
    assert listed.body == {"value": [{"name": "flow", "value": "old"}]}


async def test_changed_secret_is_used_after_a_restart(world: AzureWorld) -> None:
    """Changed secrets create no revision, and running containers keep the old value."""
    [(revision, _)] = await list_revisions(world)
    secrets = [{"name": "flow", "value": "new"}]
    change = {"properties": {"configuration": {"secrets": secrets}}}

    accepted = await world.call_arm("PATCH", APP, change)
    operation = await world.call("GET", accepted.headers["Azure-AsyncOperation"])
    before = read_variables(world, revision)["web/FLOW"]
    await world.call_arm("POST", f"{APP}/revisions/{revision}/restart")

    assert (accepted.status, operation.body["status"]) == (202, "Succeeded")
    assert await list_revisions(world) == [(revision, True)]
    assert (before, read_variables(world, revision)["web/FLOW"]) == ("old", "new")


@pytest.mark.parametrize("mode", ["Single", "Multiple"])
async def test_changed_template_is_a_new_revision(world: AzureWorld, mode: str) -> None:
    """The old revision stops, unless the app may have several active revisions."""
    await world.call_arm(
        "PATCH", APP, {"properties": {"configuration": {"activeRevisionsMode": mode}}}
    )
    [(old, _)] = await list_revisions(world)
    template = build_app(variable="red")["properties"]["template"]

    await world.call_arm("PATCH", APP, {"properties": {"template": template}})

    [_, (new, is_active)] = await list_revisions(world)
    assert await list_revisions(world) == [(old, mode == "Multiple"), (new, True)]
    assert is_active
    assert read_variables(world, new) == {"web/FLOW": "old", "web/COLOUR": "red"}


async def test_deactivated_revision_is_listed_as_inactive(world: AzureWorld) -> None:
    [(revision, _)] = await list_revisions(world)

    await world.call_arm("POST", f"{APP}/revisions/{revision}/deactivate")
    inactive = await list_revisions(world)
    await world.call_arm("POST", f"{APP}/revisions/{revision}/activate")

    assert inactive == [(revision, False)]
    assert await list_revisions(world) == [(revision, True)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            {"properties": {"configuration": {"secrets": [{"name": "flow"}]}}},
            "ContainerAppSecretInvalid",
        ),
        (
            {"properties": {"template": {"revisionSuffix": "a", "containers": []}}},
            "ContainerAppInvalidRevisionSuffix",
        ),
    ],
)
async def test_invalid_change_is_rejected(
    world: AzureWorld, body: dict[str, Any], code: str
) -> None:
    first = build_app(revisionSuffix="a")
    await world.call_arm("PUT", APP, first)

    answer = await world.call_arm("PATCH", APP, body)

    assert (answer.status, answer.body["error"]["code"]) == (400, code)

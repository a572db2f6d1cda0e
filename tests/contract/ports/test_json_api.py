import pytest

from shared.callers.azure_devops import AZURE_DEVOPS
from shared.callers.github import GITHUB
from shared.domain.definitions.json_values import mapping_at
from shared.errors import NotFound
from tests.contract.ports.sides import Side

HOOKS = "contoso/_apis/hooks/subscriptions"
GROUPS = "_apis/distributedtask/variablegroups"


async def test_hook_is_replaced_as_a_whole(side: Side) -> None:
    api = side.ports.json_api
    [hook] = await api.list(AZURE_DEVOPS, HOOKS, {"consumerId": "webHooks"}, member="value")
    path = f"{HOOKS}/{hook['id']}"
    inputs = {"url": "https://new.contoso.example"}
    await api.put(AZURE_DEVOPS, path, {**hook, "consumerInputs": inputs})
    with pytest.raises(NotFound):
        await api.get(AZURE_DEVOPS, f"{HOOKS}/missing")
    with pytest.raises(NotFound):
        await api.put(AZURE_DEVOPS, f"{HOOKS}/missing", {**hook})

    assert [*await api.read_scopes(AZURE_DEVOPS)] == ["contoso"]
    assert (await api.get(AZURE_DEVOPS, path))["consumerInputs"] == inputs


async def test_variable_group_is_read_in_a_project_and_written_outside(side: Side) -> None:
    api = side.ports.json_api
    [project] = await api.list(AZURE_DEVOPS, "contoso/_apis/projects", member="value")
    groups = f"contoso/{project['id']}/{GROUPS}"
    [group] = await api.list(AZURE_DEVOPS, groups, member="value")
    body = {**group, "variables": {"URL": {"value": "y"}}}
    await api.put(AZURE_DEVOPS, f"contoso/{GROUPS}/{group['id']}", body)

    assert [*mapping_at(group, "variables")] == ["URL", "COLOUR"]
    after = await api.get(AZURE_DEVOPS, f"{groups}/{group['id']}")
    assert after["variables"] == {"URL": {"value": "y"}}


async def test_configuration_of_a_webhook_is_changed_alone(side: Side) -> None:
    """GitHub returns asterisks in place of a webhook's secret."""
    api, hooks = side.ports.json_api, "repos/contoso/shop/hooks"
    [hook] = await api.list(GITHUB, hooks, {"per_page": "100"})
    path = f"{hooks}/{hook['id']}"
    await api.patch(GITHUB, f"{path}/config", {"url": "https://new.contoso.example"})
    with pytest.raises(NotFound):
        await api.patch(GITHUB, f"{hooks}/9/config", {"url": "https://new.contoso.example"})

    assert [*await api.read_scopes(GITHUB)] == ["contoso/shop"]
    assert (await api.get(GITHUB, path))["config"] == {
        "url": "https://new.contoso.example",
        "secret": "********",
    }


async def test_variable_is_changed(side: Side) -> None:
    api, variables = side.ports.json_api, "repos/contoso/shop/actions/variables"
    listed = await api.list(GITHUB, variables, member="variables")
    await api.patch(GITHUB, f"{variables}/COLOUR", {"name": "COLOUR", "value": "red"})

    assert listed == [{"name": "COLOUR", "value": "blue"}]
    assert await api.get(GITHUB, f"{variables}/COLOUR") == {"name": "COLOUR", "value": "red"}

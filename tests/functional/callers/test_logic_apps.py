from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.callers.caller import CallerContent
from shared.errors import Conflict, JobBlocked
from tests.functional.callers.called_tenant import Tenant


def change_resource(tenant: Tenant, resource_id: str, **members: object) -> None:
    before = tenant.world.resources[resource_id.lower()]
    tenant.world.resources[resource_id.lower()] = {**before, **members}


def read_properties(tenant: Tenant, resource_id: str) -> Mapping[str, Any]:
    properties = tenant.world.resources[resource_id.lower()]["properties"]
    assert isinstance(properties, dict)
    return properties


def replace_team_tag(content: CallerContent) -> CallerContent:
    return replace(content, text=content.text.replace('"integration"', '"platform"'))


async def test_write_of_a_logic_app_changes_only_the_url(tenant: Tenant) -> None:
    """A PUT replaces the whole resource."""
    resource_id = tenant.builder.add_logic_app_caller(tenant.original)
    identity = {
        "type": "SystemAssigned, UserAssigned",
        "principalId": "set by Azure",
        "userAssignedIdentities": {"/subscriptions/s/id": {"clientId": "set by Azure"}},
    }
    state = {**read_properties(tenant, resource_id), "state": "Disabled", "version": "set by Azure"}
    change_resource(tenant, resource_id, identity=identity, properties=state)

    [caller] = await tenant.list_found_callers("logic_app")
    await tenant.update_caller(caller)

    after = tenant.world.resources[resource_id.lower()]
    url = {"value": tenant.builder.get_trigger_url(tenant.copy)}
    expected = {**state, "parameters": {"url0": url}}
    del expected["version"]
    assert after["properties"] == expected
    assert [*read_properties(tenant, resource_id)] == [*expected], "the order is kept"
    assert after["tags"] == {"team": "integration"}
    assert after["identity"] == {
        "type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {"/subscriptions/s/id": {}},
    }
    assert tenant.count_runs_after_a_beat() == (0, 1)


async def test_write_of_a_logic_app_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """Azure has no ETag for logic apps."""
    resource_id = tenant.builder.add_logic_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers("logic_app")
    content = await tenant.read(caller)
    change_resource(tenant, resource_id, tags={"team": "sales"})

    with pytest.raises(Conflict):
        await tenant.kinds["logic_app"].write(caller, replace_team_tag(content))

    assert tenant.world.resources[resource_id.lower()]["tags"] == {"team": "sales"}


async def test_concurrent_write_of_a_logic_app_is_a_conflict(tenant: Tenant) -> None:
    resource_id = tenant.builder.add_logic_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers("logic_app")
    content = await tenant.read(caller)
    others = read_properties(tenant, resource_id)

    def overwrite(_: object) -> list[str]:
        change_resource(tenant, resource_id, properties={**others, "parameters": {}})
        return []

    tenant.world.watchers.append(overwrite)
    with pytest.raises(Conflict, match="somebody else"):
        await tenant.kinds["logic_app"].write(caller, replace_team_tag(content))


def add_secure_parameter(tenant: Tenant, resource_id: str) -> None:
    properties = read_properties(tenant, resource_id)
    declared = {**properties["definition"]["parameters"], "password": {"type": "SecureString"}}
    definition = {**properties["definition"], "parameters": declared}
    change_resource(tenant, resource_id, properties={**properties, "definition": definition})


async def test_logic_app_that_got_a_secure_parameter_after_the_search_is_not_written(
    tenant: Tenant,
) -> None:
    """A write would remove the parameter's value, which nobody could restore."""
    resource_id = tenant.builder.add_logic_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers("logic_app")
    add_secure_parameter(tenant, resource_id)
    content = await tenant.read(caller)

    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds["logic_app"].write(caller, replace_team_tag(content))

    assert "a write by the app would remove them" in raised.value.fix
    assert await tenant.read(caller) == content


async def test_logic_app_with_secure_parameters_is_a_manual_caller(tenant: Tenant) -> None:
    """Azure does not return secure values, so a write would remove them."""
    resource_id = tenant.builder.add_logic_app_caller(tenant.original)
    add_secure_parameter(tenant, resource_id)
    callers = tenant.kinds["logic_app"].find([])

    caller = await anext(callers)
    with pytest.raises(JobBlocked, match="secure parameter password of the logic app hub"):
        await anext(callers)

    assert "a write by the app would remove them" in caller.manual_reason

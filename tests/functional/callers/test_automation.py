from dataclasses import replace

import pytest

from shared.callers.automation import AutomationCallers
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked
from tests.functional.callers.called_tenant import Tenant

TWENTY = ", ".join(f"Secret{number:02}" for number in range(20))
KIND = AutomationCallers.kind


def change_value(tenant: Tenant, resource_id: str, value: str) -> None:
    before = tenant.world.resources[resource_id.lower()]
    properties = {**mapping_at(before, "properties"), "value": value}
    tenant.world.resources[resource_id.lower()] = {**before, "properties": properties}


async def test_write_of_a_variable_changes_only_the_url(tenant: Tenant) -> None:
    resource_id = tenant.builder.add_automation_caller(tenant.original).lower()
    before = tenant.world.resources[resource_id]

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    calls = tenant.count_runs_after_a_beat()
    await tenant.revert_caller(caller, old)

    assert caller.label == "variable FlowUrls of the Automation account contoso"
    assert calls == (0, 1)
    assert tenant.world.resources[resource_id]["properties"] == before["properties"]


async def test_write_of_a_variable_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """Azure has no ETag for variables."""
    resource_id = tenant.builder.add_automation_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    change_value(tenant, resource_id, '"edited"')

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text='"x"'))

    assert (await tenant.read(caller)).text == '"edited"'


async def test_runbook_is_changed_by_a_person(tenant: Tenant) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    resource_id = tenant.builder.add_runbook(f"Invoke-RestMethod -Uri '{url}'", state="Edit")
    tenant.builder.add_runbook("", name="draft", state="New")

    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked):
        await tenant.kinds[KIND].write(caller, replace(content, text="x"))

    assert caller.address == resource_id
    assert caller.label == "runbook notify of the Automation account contoso"
    assert "publish it" in caller.manual_reason
    assert url in content.text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 encrypted variable of the Automation account contoso: Secret00"),
        (
            22,
            f"22 encrypted variables of the Automation account contoso: {TWENTY} and 2 more",
        ),
    ],
)
async def test_encrypted_variables_are_found_by_their_names_only(
    tenant: Tenant, count: int, text: str
) -> None:
    """Azure returns no encrypted value."""
    for number in range(count):
        tenant.builder.add_automation_caller(name=f"Secret{number:02}", is_encrypted=True)
    search = CallerSearchPosition()

    with pytest.raises(JobBlocked) as raised:
        _ = [caller async for caller in tenant.kinds[KIND].find([], search)]

    assert search.unreadable == [text]
    assert "encrypted variables yourself" in raised.value.fix

import pytest

from shared.domain.callers.caller import FILLED_IN, CallerContent
from shared.errors import Conflict
from tests.fakes.definition_builder import build_http_action
from tests.functional.callers.called_tenant import Tenant, write_caller


async def test_flow_is_found_by_the_url_in_its_http_action(tenant: Tenant) -> None:
    holder = tenant.builder.add_flow_caller(tenant.original)

    [caller] = await tenant.list_found_callers("flow")

    assert caller.workflow_id == holder.workflow_id
    assert caller.environment_id == tenant.builder.environment.id
    assert caller.trigger_url_ids == {tenant.original.trigger_url_id}
    assert caller.manual_reason == ""


async def test_parent_is_found_by_its_child_flow(tenant: Tenant) -> None:
    parent = tenant.builder.add_parent("Parent", tenant.original)

    [caller] = await tenant.list_found_callers("flow")
    await tenant.update_caller(caller)

    assert caller.child_flow_ids == {tenant.original.workflow_id}
    assert tenant.copy.workflow_id in parent.client_data


async def test_flow_of_a_managed_solution_is_a_manual_caller(tenant: Tenant) -> None:
    tenant.builder.add_flow_caller(tenant.original).is_managed = True

    [caller] = await tenant.list_found_callers("flow")

    assert "managed solution" in caller.manual_reason


async def test_flow_with_a_computed_signature_is_partly_manual(tenant: Tenant) -> None:
    other = tenant.builder.add_http_flow("Other")
    address = tenant.builder.get_trigger_url(tenant.original).partition("&sig=")[0]
    url = f"{address}&sig=@{{variables('sig')}}"
    tenant.builder.add_flow(
        "Mixed",
        {"type": "Request", "kind": "Button", "inputs": {}},
        {
            "One": build_http_action(url),
            "Two": build_http_action(tenant.builder.get_trigger_url(other)),
        },
        is_on=False,
    )

    environments = await tenant.ports.environments.list()
    found = [caller async for caller in tenant.kinds["flow"].find(environments)]

    reasons = {next(iter(caller.trigger_url_ids)): caller.manual_reason for caller in found}
    assert reasons[other.trigger_url_id] == ""
    assert reasons[tenant.original.trigger_url_id] == FILLED_IN


async def test_environment_without_dataverse_has_no_callers(tenant: Tenant) -> None:
    tenant.builder.environment.dataverse_url = None

    assert await tenant.list_found_callers("flow") == []
    assert await tenant.list_found_callers("environment_variable") == []


async def test_flows_use_a_changed_environment_variable_at_once(tenant: Tenant) -> None:
    tenant.builder.add_variable_caller(tenant.original)
    before = tenant.count_runs_after_a_beat()

    [caller] = await tenant.list_found_callers("environment_variable")
    await tenant.update_caller(caller)

    assert (before, tenant.count_runs_after_a_beat()) == ((1, 0), (1, 1))


async def test_repeated_write_of_a_variable_completes_an_interrupted_one(
    tenant: Tenant,
) -> None:
    variable, _ = tenant.builder.add_variable_caller(tenant.original)
    [caller] = await tenant.list_found_callers("environment_variable")
    variable.value = tenant.builder.get_trigger_url(tenant.copy)

    stale = tenant.count_runs_after_a_beat()
    value = CallerContent(text=variable.value, etag="old")
    await write_caller(tenant.ports, tenant.kinds[caller.kind], caller, value)

    assert (stale, tenant.count_runs_after_a_beat()) == ((1, 0), (1, 1))


async def test_default_value_of_a_variable_is_a_separate_caller(tenant: Tenant) -> None:
    variable, _ = tenant.builder.add_variable_caller(tenant.original)
    variable.default_value = f"{tenant.builder.get_trigger_url(tenant.original)}&from=default"

    callers = await tenant.list_found_callers("environment_variable")
    for caller in callers:
        await tenant.update_caller(caller)

    assert [caller.label.split()[0] for caller in callers] == ["value", "default"]
    assert {caller.resource_id for caller in callers} == {callers[0].resource_id}
    assert variable.default_value == f"{tenant.builder.get_trigger_url(tenant.copy)}&from=default"


async def test_variable_of_managed_flows_is_a_manual_caller(tenant: Tenant) -> None:
    """Managed flows would keep the old value."""
    _, reader = tenant.builder.add_variable_caller(tenant.original)
    reader.is_managed = True

    [caller] = await tenant.list_found_callers("environment_variable")

    assert reader.name in caller.manual_reason


async def test_write_of_a_variable_that_changed_since_its_read_is_a_conflict(
    tenant: Tenant,
) -> None:
    variable, _ = tenant.builder.add_variable_caller(tenant.original)
    [caller] = await tenant.list_found_callers("environment_variable")
    value = await tenant.kinds[caller.kind].read(caller)
    variable.value, variable.value_version = "elsewhere", 2

    with pytest.raises(Conflict):
        await tenant.kinds[caller.kind].write(caller, CallerContent(text="new", etag=value.etag))

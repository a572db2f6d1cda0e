from dataclasses import replace

import pytest

from shared.callers.custom_connector import CustomConnectorCallers
from shared.domain.callers.caller import MANAGED
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import JobBlocked
from tests.functional.callers.called_tenant import Tenant

KIND = CustomConnectorCallers.kind


async def test_connector_is_changed_by_a_person(tenant: Tenant) -> None:
    """Another address can break the connector's connections."""
    [row] = tenant.builder.add_connector_caller(tenant.original, displayname="Orders")
    before = dict(row.values)

    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert caller.label == "custom connector Orders"
    assert "can break the connections" in caller.manual_reason
    assert "Edit the custom connector" in raised.value.fix
    [match] = find_trigger_urls(content.text)
    assert match.url.trigger_url_id == tenant.original.trigger_url_id
    assert row.values == before


async def test_connector_of_a_managed_solution_is_changed_where_it_is_developed(
    tenant: Tenant,
) -> None:
    """A change in this environment would be an unmanaged layer over the solution."""
    tenant.builder.add_connector_caller(tenant.original, ismanaged=True)

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.manual_reason == MANAGED


async def test_definition_that_is_not_json_does_not_hide_another(tenant: Tenant) -> None:
    tenant.builder.add_connector_caller(tenant.original)
    tenant.builder.add_row("connectors", {"name": "x", "openapidefinition": "{workflows"})

    assert len(await tenant.list_found_callers(KIND)) == 1

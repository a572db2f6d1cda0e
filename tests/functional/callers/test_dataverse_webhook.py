from dataclasses import replace

import pytest

from shared.callers.dataverse_webhook import DataverseWebhookCallers
from shared.domain.plans.url_limits import describe_url_limits
from shared.errors import Conflict
from tests.functional.callers.called_tenant import Tenant

KIND = DataverseWebhookCallers.kind


async def test_write_of_a_webhook_changes_only_its_url(tenant: Tenant) -> None:
    [row] = tenant.builder.add_webhook_caller(tenant.original, isauthvalueset=True)
    before = dict(row.values)

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    calls = tenant.count_runs_after_a_beat()
    await tenant.revert_caller(caller, old)

    assert (caller.label, caller.manual_reason) == ("Dataverse webhook Webhook 0", "")
    assert calls == (0, 1)
    assert row.values == before


async def test_write_of_a_webhook_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """The table has no row versions."""
    [row] = tenant.builder.add_webhook_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    row.values["url"] = "https://edited.example"

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="x"))

    assert row.values["url"] == "https://edited.example"


@pytest.mark.parametrize("query", ["", "?api-version=1", "?api-version=1&sp=a&sv=1.0"])
async def test_webhook_with_its_signature_in_the_hidden_value_is_changed_by_a_person(
    tenant: Tenant, query: str
) -> None:
    path = tenant.builder.get_trigger_url(tenant.original).partition("?")[0]
    tenant.builder.add_webhook_caller(tenant.original, url=path + query, isauthvalueset=True)

    [caller] = await tenant.list_found_callers(KIND)

    assert "up to the question mark" in caller.manual_reason
    assert "query string" in caller.manual_reason


async def test_webhook_of_a_managed_solution_is_changed_where_it_is_developed(
    tenant: Tenant,
) -> None:
    """The next import of the solution would overwrite what the app writes."""
    tenant.builder.add_webhook_caller(tenant.original, ismanaged=True)

    [caller] = await tenant.list_found_callers(KIND)

    assert "managed solution" in caller.manual_reason


async def test_plan_names_a_webhook_whose_field_is_too_short(tenant: Tenant) -> None:
    """The limit of 2,000 characters also counts query parameters that follow the URL."""
    url = tenant.builder.get_trigger_url(tenant.original)
    tenant.builder.add_webhook_caller(tenant.original, url=url + "&x=" + "y" * (1987 - len(url)))

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.max_url_length == len(url) + 10
    assert "make room for it" in describe_url_limits("a" * 300, "manual", caller)

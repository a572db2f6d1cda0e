from contextlib import suppress

import pytest

from shared.callers.power_pages import PowerPagesCallers
from shared.domain.callers.caller import Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.ports import TextColumn, TextRow
from tests.fakes.text_rows import FakeTextRows
from tests.functional.callers.called_tenant import Tenant

KIND = PowerPagesCallers.kind
SITE = {"adx_websiteid": {"adx_name": "Fabrikam"}}


def add_standard_row(tenant: Tenant, table: str, **texts: str) -> None:
    """Add a row of the standard data model. Its name is that of its table."""
    tenant.builder.add_row(table, {"adx_name": table, **SITE, **texts})


async def test_write_of_a_site_setting_changes_only_the_url(tenant: Tenant) -> None:
    row = tenant.builder.add_site_setting_caller(tenant.original)
    before = dict(row.values)

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    calls = tenant.count_runs_after_a_beat()
    await tenant.revert_caller(caller, old)

    assert caller.label == "site setting Flow/Urls of the Power Pages site Contoso"
    assert calls == (0, 1)
    assert row.values == before


async def test_write_with_an_old_version_is_a_conflict(tenant: Tenant) -> None:
    row = tenant.builder.add_site_setting_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    row.version += 1

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, content.__class__(text="x", etag=content.etag))

    assert row.values["content"] == content.text


@pytest.mark.parametrize(
    ("component", "part"),
    [
        (2, "web page"),
        (7, "content snippet"),
        (8, "web template"),
        (9, "site setting"),
        (3, "part"),
    ],
)
async def test_part_of_a_site_is_named_by_its_type(
    tenant: Tenant, component: int, part: str
) -> None:
    tenant.builder.add_site_setting_caller(tenant.original, powerpagecomponenttype=component)

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.label.startswith(f"{part} Flow/Urls")


async def test_each_part_of_a_standard_site_is_found_and_updated(tenant: Tenant) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    add_standard_row(tenant, "adx_sitesettings", adx_value=url)
    add_standard_row(tenant, "adx_contentsnippets", adx_value=f'<a href="{url}">x</a>')
    add_standard_row(tenant, "adx_webtemplates", adx_source=f"fetch('{url}')")
    add_standard_row(tenant, "adx_webpages", adx_copy=url, adx_customjavascript=f"x = '{url}'")

    found = await tenant.list_found_callers(KIND)
    for caller in found:
        await tenant.update_caller(caller)

    assert [caller.label.partition(" adx")[0] for caller in found] == [
        *("site setting", "content snippet", "web template", "web page", "web page")
    ]
    assert {caller.label.rpartition(" ")[2] for caller in found} == {"Fabrikam"}
    assert await tenant.list_found_callers(KIND) == []


async def test_part_of_a_managed_solution_is_changed_where_it_is_developed(tenant: Tenant) -> None:
    tenant.builder.add_site_setting_caller(tenant.original, ismanaged=True)

    [caller] = await tenant.list_found_callers(KIND)

    assert "managed solution" in caller.manual_reason


async def search_without(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, *tables: str
) -> tuple[list[Caller], list[str]]:
    """Search while reads of these tables, or of all, are rejected. Return the callers, and what was
    not searched.
    """
    read = FakeTextRows.list

    async def reject(
        rows: FakeTextRows, environment: Environment, column: TextColumn
    ) -> list[TextRow]:
        if not tables or column.entity_set in tables:
            raise PlatformError("no", code="0x80040220", status=403)
        return await read(rows, environment, column)

    monkeypatch.setattr(FakeTextRows, "list", reject)
    search, found = CallerSearchPosition(), list[Caller]()
    with suppress(JobBlocked):
        async for caller in tenant.kinds[KIND].find(await tenant.ports.environments.list(), search):
            found.append(caller)
    return found, search.unreadable


async def test_unreadable_table_hides_no_other_caller(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.builder.add_site_setting_caller(tenant.original)

    found, unreadable = await search_without(tenant, monkeypatch, "adx_webtemplates")

    assert len(found) == 1
    assert unreadable == ["adx_webtemplates of environment Contoso (0x80040220)"]


async def test_unreadable_environment_is_named_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, unreadable = await search_without(tenant, monkeypatch)

    assert (found, unreadable) == ([], ["environment Contoso (0x80040220)"])


async def test_environment_without_power_pages_is_searched_completely(tenant: Tenant) -> None:
    assert await tenant.list_found_callers(KIND) == []

"""Test reads that lag behind writes (platform.md#reads-lag)."""

from collections.abc import AsyncIterator

import pytest

from tests.local_cloud.tenant.dataverse_flow import (
    COPY,
    ON,
    WORKFLOWS,
    build_workflow,
    create_flow,
    read_flow,
)
from tests.local_cloud.tenant.tenant_world import (
    ADMIN_FLOWS,
    BUTTON_FLOW,
    HTTP_FLOW,
    ORG_API,
    TenantWorld,
    serve_tenant_world,
)

ROW, FLOW = f"{WORKFLOWS}({HTTP_FLOW})", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}"


@pytest.fixture
async def world() -> AsyncIterator[TenantWorld]:
    async with serve_tenant_world() as served:
        lags = {"read_lag_seconds": [30, 30], "list_lag_seconds": [60, 60]}
        await served.control("PUT", "/assumptions", lags)
        yield served


async def pass_time(world: TenantWorld) -> None:
    """Advance the clock by 31 seconds, after which reads of a row, but not lists, show a write."""
    await world.control("POST", "/clock/advance", {"seconds": 31})


async def list_names(world: TenantWorld) -> set[str]:
    return {row["name"] for row in await world.read_all_pages(WORKFLOWS)}


async def test_created_row_is_not_found_until_the_delay_ends(world: TenantWorld) -> None:
    created = await create_flow(world, build_workflow())
    again = await create_flow(world, build_workflow())
    soon = await world.call("GET", f"{WORKFLOWS}({COPY})")
    changed = await world.call("PATCH", f"{WORKFLOWS}({COPY})", {"name": "Newer"})
    await pass_time(world)
    later = await world.call("GET", f"{WORKFLOWS}({COPY})")
    late_list = "Newer" in await list_names(world)
    await pass_time(world)

    assert [one.status for one in (created, again, soon, changed)] == [204, 412, 404, 204]
    assert (later.status, later.body["name"]) == (200, "Newer")
    assert (late_list, "Newer" in await list_names(world)) == (False, True)


async def test_changed_row_is_read_with_its_old_etag_until_the_delay_ends(
    world: TenantWorld,
) -> None:
    """A write with the old ETag is rejected."""
    before = await read_flow(world, HTTP_FLOW)
    await world.call("PATCH", ROW, {"name": "Renamed"})
    soon = await read_flow(world, HTTP_FLOW)
    stale = await world.call("PATCH", ROW, {"name": "x"}, headers={"If-Match": soon["@odata.etag"]})
    await pass_time(world)
    later = await read_flow(world, HTTP_FLOW)
    fresh = await world.call(
        "PATCH", ROW, {"name": "y"}, headers={"If-Match": later["@odata.etag"]}
    )

    assert soon == before
    assert (stale.status, later["name"], fresh.status) == (412, "Renamed", 204)


async def test_first_of_two_writes_is_visible_before_the_second(world: TenantWorld) -> None:
    await world.call("PATCH", ROW, {"name": "First"})
    await world.control("POST", "/clock/advance", {"seconds": 20})
    await world.call("PATCH", ROW, {"name": "Second"})
    await world.control("POST", "/clock/advance", {"seconds": 11})
    between = (await read_flow(world, HTTP_FLOW))["name"]
    await world.control("POST", "/clock/advance", {"seconds": 20})

    assert (between, (await read_flow(world, HTTP_FLOW))["name"]) == ("First", "Second")


async def test_a_deleted_flow_still_reads_and_is_still_listed(world: TenantWorld) -> None:
    await world.call("DELETE", ROW)
    soon = [(await world.call("GET", url)).status for url in (ROW, FLOW)]
    changed = await world.call("PATCH", ROW, {"name": "x"}, headers={"If-Match": "*"})
    await pass_time(world)
    later = [(await world.call("GET", url)).status for url in (ROW, FLOW)]

    assert (soon, changed.status, later) == ([200, 200], 404, [404, 404])
    assert "Receive order" in await list_names(world)
    await pass_time(world)
    assert "Receive order" not in await list_names(world)


async def test_flow_renamed_by_its_activation_is_read_under_its_old_name(
    world: TenantWorld,
) -> None:
    """No write finds the flow under the old name."""
    await world.control("PUT", "/assumptions", {"activation_changes_flow_name": True})
    await create_flow(world, build_workflow())
    await pass_time(world)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    urls = [
        f"{ADMIN_FLOWS}/flows/{name}" for name in (COPY, world.environment.workflows[COPY].name)
    ]

    soon = [(await world.call("GET", url)).status for url in urls]
    stopped = await world.call("POST", f"{urls[0]}/stop", {})
    await pass_time(world)
    later = [(await world.call("GET", url)).status for url in urls]

    assert (soon, stopped.status, later) == ([200, 404], 404, [404, 200])


async def test_flow_moved_into_a_solution_gets_its_row_with_a_delay(world: TenantWorld) -> None:
    await world.control("PUT", "/assumptions", {"my_flows_have_rows": False})
    moved = await world.call(
        "POST", f"{ADMIN_FLOWS}/migrateFlows", {"flowsToMigrate": [BUTTON_FLOW]}
    )
    soon = await world.call("GET", f"{WORKFLOWS}({BUTTON_FLOW})")
    await pass_time(world)

    assert (moved.status, soon.status) == (202, 404)
    assert (await world.call("GET", f"{WORKFLOWS}({BUTTON_FLOW})")).status == 200


async def test_rows_of_other_tables_have_the_same_delay(world: TenantWorld) -> None:
    url = f"{ORG_API}/environmentvariablevalues"
    [row] = await world.read_all_pages(url)
    known = f"{url}({row['environmentvariablevalueid']})"
    await world.call("PATCH", known, {"value": "new"})
    soon = (await world.call("GET", known)).body["value"]
    await pass_time(world)
    later = (await world.call("GET", known)).body["value"]
    [listed] = await world.read_all_pages(url)
    await world.call("DELETE", known)

    assert (soon, later, listed["value"]) == (row["value"], "new", row["value"])
    assert (await world.call("GET", known)).status == 200
    await pass_time(world)
    assert (await world.call("GET", known)).status == 404
    await pass_time(world)
    assert await world.read_all_pages(url) == []

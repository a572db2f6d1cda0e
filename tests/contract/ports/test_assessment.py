from collections.abc import Awaitable, Callable

import pytest

from shared.domain.power_apps import add_sign_in
from shared.errors import InvalidInput, NotFound
from shared.ports import ResultPage
from tests.contract.ports.described_tenant import (
    APP_OF_FLOW,
    APP_WITHOUT_DOCUMENT,
    APP_WITHOUT_FLOWS,
    OWN_TEAM,
    STRANGER,
)
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW, MAKER


async def test_list_of_connections_has_their_sign_in_and_owner(side: Side) -> None:
    found = {one.name: one for one in await side.ports.connections.list(ENVIRONMENT)}

    assert {name: one.uses_oauth for name, one in found.items()} == {
        "office-maker": True,
        "office-shared": True,
        "sql-maker": False,
    }
    assert (found["sql-maker"].owner, found["sql-maker"].connector) == ("Maker", "shared_sql")


async def test_connections_are_read_page_by_page(side: Side) -> None:
    """The pages omit the sign-in, which is read once for each connector."""
    connections = side.ports.connections
    listed = await connections.list(ENVIRONMENT)

    found = await read_all_pages(lambda cursor: connections.read_page(ENVIRONMENT, cursor))
    names = {one.connector for one in found}
    sign_ins = {name: await connections.read_sign_in(ENVIRONMENT, name) for name in names}

    assert add_sign_in(found, sign_ins) == listed


async def test_apps_are_read_page_by_page(side: Side) -> None:
    apps = side.ports.canvas_apps

    found = await read_all_pages(lambda cursor: apps.read_page(ENVIRONMENT, cursor))

    assert found == await apps.list_with_flows(ENVIRONMENT)


async def read_all_pages[T](read: Callable[[str], Awaitable[ResultPage[T]]]) -> list[T]:
    """Return the items of every page."""
    page = await read("")
    found = [*page.items]
    while page.cursor:
        page = await read(page.cursor)
        found += page.items
    return found


async def test_read_errors_returns_the_errors_of_connections(side: Side) -> None:
    assert await side.ports.connections.read_errors(ENVIRONMENT) == {
        "office-maker": "",
        "office-shared": "",
        "sql-maker": "Wrong password",
    }


async def test_list_of_canvas_apps_has_their_flows_or_a_reason(side: Side) -> None:
    listed = await side.ports.canvas_apps.list_with_flows(ENVIRONMENT)
    found = {one.display_name: one for one in listed}

    assert set(found) == {"Requests", "Broken"}
    assert HTTP_FLOW in found["Requests"].flow_ids
    assert found["Requests"].unknown_reason == ""
    assert found["Broken"].unknown_reason
    assert "sig" not in str(found)


async def test_read_of_one_canvas_app_returns_its_flows_or_raises_an_error(side: Side) -> None:
    apps = side.ports.canvas_apps

    used = (await apps.get(ENVIRONMENT, APP_OF_FLOW)).flow_ids
    plain = (await apps.get(ENVIRONMENT, APP_WITHOUT_FLOWS)).flow_ids

    assert HTTP_FLOW in used
    assert plain == frozenset()
    with pytest.raises(InvalidInput):
        await apps.get(ENVIRONMENT, APP_WITHOUT_DOCUMENT)
    with pytest.raises(NotFound):
        await apps.get(ENVIRONMENT, "strange")


async def test_only_hosted_machine_groups_are_returned(side: Side) -> None:
    assert await side.ports.machine_groups.read_hosted_groups(await side.read_environment()) == [
        "Night shift"
    ]


async def test_organization_has_its_setting_and_the_names_of_principals(side: Side) -> None:
    environment, organization = await side.read_environment(), side.ports.organization
    maker = side.hands.find_user_id(MAKER)

    names = await organization.read_names(environment, [maker.upper(), OWN_TEAM, STRANGER])

    assert names == {maker: "Maker", OWN_TEAM: "Night shift"}


async def test_solution_setting_is_written_and_read_back(side: Side) -> None:
    environment, organization = await side.read_environment(), side.ports.organization
    before = await organization.read_solution_setting(environment)

    seen = []
    for value in (False, None, True):
        await organization.write_solution_setting(environment, before.organization_id, is_on=value)
        seen.append((await organization.read_solution_setting(environment)).is_on)
    with pytest.raises(NotFound):
        await organization.write_solution_setting(environment, STRANGER, is_on=True)

    assert before.is_on is True
    assert seen == [False, None, True]


async def test_accepted_change_of_the_solution_setting_may_not_be_kept(side: Side) -> None:
    side.hands.assumptions.organization_changes_that_do_not_stick = 1
    environment, organization = await side.read_environment(), side.ports.organization
    before = await organization.read_solution_setting(environment)

    await organization.write_solution_setting(environment, before.organization_id, is_on=False)

    assert await organization.read_solution_setting(environment) == before


async def test_unknown_environment_is_not_found(side: Side) -> None:
    """An empty list would look like an environment without connections."""
    with pytest.raises(NotFound):
        await side.ports.connections.list(STRANGER)
    with pytest.raises(NotFound):
        await side.ports.canvas_apps.list_with_flows(STRANGER)
    with pytest.raises(NotFound):
        await side.ports.connections.read_page(STRANGER)
    with pytest.raises(NotFound):
        await side.ports.canvas_apps.read_page(STRANGER)

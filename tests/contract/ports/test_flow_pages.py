from dataclasses import replace

from shared.domain.flow import Workflow
from shared.domain.flow_owner import FlowOwner, OwnerStatus
from shared.errors import NotFound
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW, MAKER


def remove_owners(flows: list[Workflow]) -> list[Workflow]:
    return [replace(one, owner=None) for one in flows]


async def test_pages_of_rows_contain_every_flow_once(side: Side) -> None:
    environment, pages = await side.read_environment(), side.ports.flow_pages
    whole = [row async for row in side.ports.workflows.list(environment)]

    page = await pages.read_workflows(environment)
    found = list(page.items)
    while page.cursor:
        page = await pages.read_workflows(environment, page.cursor)
        found += page.items

    assert remove_owners(found) == whole


async def test_pages_of_the_flow_service_contain_its_list(side: Side) -> None:
    pages = side.ports.flow_pages
    whole = await side.ports.flow_reports.list_flows(ENVIRONMENT)

    page = await pages.read_flows(ENVIRONMENT)
    found = list(page.items)
    while page.cursor:
        page = await pages.read_flows(ENVIRONMENT, page.cursor)
        found += page.items

    assert found == whole
    assert len(found) > len(page.items)


async def test_cursor_returns_the_same_page_again(side: Side) -> None:
    """A process that was killed may read a page again."""
    environment, pages = await side.read_environment(), side.ports.flow_pages
    first = await pages.read_workflows(environment)
    assert first.cursor
    assert "sig=" not in first.cursor

    again = await pages.read_workflows(environment, first.cursor)

    assert again == await pages.read_workflows(environment, first.cursor)
    assert {row.workflow_id for row in again.items}.isdisjoint(
        row.workflow_id for row in first.items
    )


async def test_summaries_of_all_flows_are_read_without_definitions(side: Side) -> None:
    environment, pages = await side.read_environment(), side.ports.flow_pages
    whole = [row async for row in side.ports.workflows.list(environment)]

    page = await pages.read_workflow_summaries(environment)
    found = list(page.items)
    while page.cursor:
        page = await pages.read_workflow_summaries(environment, page.cursor)
        found += page.items

    assert found == [row.summary for row in whole]
    assert all(flow.etag for flow in found)


async def test_flows_are_read_by_their_ids(side: Side) -> None:
    environment = await side.read_environment()
    some = [row async for row in side.ports.workflows.list(environment)][1:3]
    gone = "f0000000-0000-4000-8000-00000000dead"

    ids = [gone, *(row.workflow_id for row in some)]
    found = await side.ports.flow_pages.read_workflows_by_id(environment, ids)

    assert sorted(remove_owners(found), key=str) == sorted(some, key=str)
    assert all(row.owner for row in found)


async def test_read_summaries_returns_existing_rows_by_id(side: Side) -> None:
    environment = await side.read_environment()
    some = [row async for row in side.ports.workflows.list(environment)][1:3]
    gone, odd = "f0000000-0000-4000-8000-00000000dead", "no id at all) or (1 eq 1"

    ids = [gone, odd, *(row.workflow_id for row in some)]
    found = await side.ports.workflows.read_summaries(environment, ids)

    assert found.keys() == set(ids)
    assert [found[row.workflow_id] for row in some] == [row.summary for row in some]
    assert isinstance(found[gone], NotFound)
    assert isinstance(found[odd], NotFound)


async def test_flow_has_its_owners_name_until_the_owner_leaves(side: Side) -> None:
    environment, pages = await side.read_environment(), side.ports.flow_pages
    row_id = side.hands.find_user_id(MAKER)

    async def read_owner() -> FlowOwner | None:
        [flow] = await pages.read_workflows_by_id(environment, [HTTP_FLOW])
        return flow.owner

    before = await read_owner()
    side.hands.remove_user(MAKER)
    after = await read_owner()

    assert before == FlowOwner(id=row_id, entra_id=MAKER, name="Maker", status=OwnerStatus.ENABLED)
    assert after == FlowOwner(id=row_id, status=OwnerStatus.NOT_FOUND)

"""What both implementations of `FlowPages` do: the lists of flows, page by page."""

from tests.contract.ports.sides import Side
from tests.contract.tenant_world import ENVIRONMENT


async def test_pages_of_rows_are_the_list(side: Side) -> None:
    """Cursor by cursor, every flow once, with its definition."""
    environment, pages = await side.environment(), side.ports.flow_pages
    whole = [row async for row in side.ports.workflows.list(environment)]

    page = await pages.workflows(environment)
    found = list(page.items)
    while page.cursor:
        page = await pages.workflows(environment, page.cursor)
        found += page.items

    assert found == whole


async def test_pages_of_the_flow_service_are_its_list(side: Side) -> None:
    """Lean, and as `FlowReports` has them."""
    pages = side.ports.flow_pages
    whole = await side.ports.flow_reports.list_flows(ENVIRONMENT)

    page = await pages.flows(ENVIRONMENT)
    found = list(page.items)
    while page.cursor:
        page = await pages.flows(ENVIRONMENT, page.cursor)
        found += page.items

    assert found == whole
    assert len(found) > len(page.items)


async def test_a_cursor_is_all_that_has_to_be_kept(side: Side) -> None:
    """The page that it names is the same again; no signature is in it."""
    environment, pages = await side.environment(), side.ports.flow_pages
    first = await pages.workflows(environment)
    assert first.cursor
    assert "sig=" not in first.cursor

    again = await pages.workflows(environment, first.cursor)

    assert again == await pages.workflows(environment, first.cursor)
    assert {row.workflow_id for row in again.items}.isdisjoint(
        row.workflow_id for row in first.items
    )

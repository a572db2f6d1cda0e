"""The port `FlowPages` against the tenant over TLS: pages, cursors, and a budget of its own."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local_cloud.tenant.core.faults import Fault
from shared.adapters.flow_service.pages import OwnShare
from shared.adapters.state.call_budget import BudgetLimit, CallBudget
from shared.errors import Refused, Throttled, Unavailable
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.tenant_world import BUTTON_FLOW, ENVIRONMENT
from tests.twins.clock import ManualClock
from tests.twins.memory_store import MemoryStore

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of two flows a page."""
    async with adapters(monkeypatch) as made:
        made.world.platform.assumptions.flow_page = 2
        made.world.platform.assumptions.dataverse_page = 2
        yield made


async def test_pages_of_dataverse_are_the_list(app: Adapters) -> None:
    """Cursor by cursor, one call each, every flow with its definition."""
    environment = await app.environment()
    whole = [row async for row in app.workflows.list(environment)]
    app.world.tenant.calls.reset()

    page = await app.pages.workflows(environment)
    found = list(page.items)
    calls = 1
    while page.cursor:
        page = await app.pages.workflows(environment, page.cursor)
        found += page.items
        calls += 1

    assert found == whole
    assert calls >= len(whole) / 2
    assert app.world.tenant.calls.routes["dataverse.list_workflows"] == calls


async def test_pages_of_the_flow_service_are_its_list(app: Adapters) -> None:
    """Flows outside solutions are in it, and name no row of Dataverse."""
    whole = await app.reports.list_flows(ENVIRONMENT)

    page = await app.pages.flows(ENVIRONMENT)
    found = list(page.items)
    while page.cursor:
        page = await app.pages.flows(ENVIRONMENT, page.cursor)
        found += page.items

    assert found == whole
    assert {one.workflow_id for one in found if one.flow_name == BUTTON_FLOW} == {None}


async def test_a_cursor_is_all_that_has_to_be_kept(app: Adapters) -> None:
    """The page that it names is the next one; no signature is in it."""
    environment = await app.environment()
    first = await app.pages.workflows(environment)
    assert "sig=" not in first.cursor

    again = await app.pages.workflows(environment, first.cursor)

    assert {row.workflow_id for row in again.items}.isdisjoint(
        row.workflow_id for row in first.items
    )


async def test_a_cursor_that_leads_elsewhere_is_not_followed(app: Adapters) -> None:
    """The access token goes with the call: a row that was tampered with gets none."""
    environment = await app.environment()
    app.world.tenant.calls.reset()

    with pytest.raises(Unavailable):
        await app.pages.workflows(environment, "https://attacker.example/workflows")
    with pytest.raises(Unavailable):
        await app.pages.flows(ENVIRONMENT, "https://attacker.example/flows")

    assert app.world.tenant.calls.routes.total() == 0


async def test_a_cursor_that_has_expired_is_refused_with_400(app: Adapters) -> None:
    """As Dataverse answers a paging cookie that it does not know."""
    environment = await app.environment()
    first = await app.pages.workflows(environment)
    app.world.tenant.faults.add(Fault(route="dataverse.list_workflows", status=400, code="0x8"))

    with pytest.raises(Refused) as caught:
        await app.pages.workflows(environment, first.cursor)

    assert caught.value.status == 400


async def test_a_share_takes_from_the_whole_and_never_more_than_its_own() -> None:
    """Two of five calls: the other three are left for those who cannot wait."""
    clock, store = ManualClock(), MemoryStore()
    whole = CallBudget(store, clock, BudgetLimit(name="whole", calls=5, window=MINUTE))
    own = CallBudget(store, clock, BudgetLimit(name="own", calls=2, window=MINUTE))
    share = OwnShare(own, whole)

    await share.take()
    await share.take()
    with pytest.raises(Throttled):
        await share.take()
    for _ in range(3):
        await whole.take()
    with pytest.raises(Throttled):
        await whole.take()


async def test_a_pause_that_the_service_asks_for_stops_both() -> None:
    """The service is one and the same."""
    clock, store = ManualClock(), MemoryStore()
    whole = CallBudget(store, clock, BudgetLimit(name="whole", calls=5, window=MINUTE))
    own = CallBudget(store, clock, BudgetLimit(name="own", calls=2, window=MINUTE))
    share = OwnShare(own, whole)

    await share.pause(MINUTE)

    for budget in (share, whole):
        with pytest.raises(Throttled):
            await budget.take()

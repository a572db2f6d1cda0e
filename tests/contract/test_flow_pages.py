from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local_cloud.tenant.core.faults import Fault
from shared.adapters.flow_service.pages import NestedBudget
from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.errors import PlatformError, ServiceUnavailable, ThrottledError
from tests.contract.adapter_world import Adapters, run_adapters
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        made.world.platform.assumptions.flow_page = 2
        made.world.platform.assumptions.dataverse_page = 2
        yield made


async def test_page_is_read_with_one_request(app: Adapters) -> None:
    environment = await app.read_environment()

    page = await app.flow_pages.read_workflows(environment)
    rows, calls = len(page.items), 1
    while page.cursor:
        page = await app.flow_pages.read_workflows(environment, page.cursor)
        rows, calls = rows + len(page.items), calls + 1

    assert calls >= rows / 2
    assert app.world.tenant.calls.routes["dataverse.list_workflows"] == calls


async def test_cursor_to_another_host_is_not_followed(app: Adapters) -> None:
    """Somebody may have changed the stored cursor. A request to its host would contain the access
    token.
    """
    environment = await app.read_environment()
    app.world.tenant.calls.reset()

    for host in ("attacker.example", "attacker.westeurope.cloudapp.azure.com"):
        with pytest.raises(ServiceUnavailable):
            await app.flow_pages.read_workflows(environment, f"https://{host}/workflows")
        with pytest.raises(ServiceUnavailable):
            await app.flow_pages.read_flows(ENVIRONMENT, f"https://{host}/flows")

    assert app.world.tenant.calls.routes.total() == 0


async def test_expired_cursor_raises_an_error_with_status_400(app: Adapters) -> None:
    """Dataverse answers with this status when it no longer knows the paging cookie in the
    cursor.
    """
    environment = await app.read_environment()
    first = await app.flow_pages.read_workflows(environment)
    app.world.tenant.faults.add(Fault(route="dataverse.list_workflows", status=400, code="0x8"))

    with pytest.raises(PlatformError) as caught:
        await app.flow_pages.read_workflows(environment, first.cursor)

    assert caught.value.status == 400


async def test_nested_budget_leaves_the_rest_of_the_budget_to_others() -> None:
    clock, store = ManualClock(), MemoryStore()
    whole = StoredRequestBudget(store, clock, BudgetLimit(name="whole", calls=5, window=MINUTE))
    own = StoredRequestBudget(store, clock, BudgetLimit(name="own", calls=2, window=MINUTE))
    share = NestedBudget(own, whole)

    await share.take()
    await share.take()
    with pytest.raises(ThrottledError):
        await share.take()
    for _ in range(3):
        await whole.take()
    with pytest.raises(ThrottledError):
        await whole.take()


async def test_pause_of_the_nested_budget_stops_both_budgets() -> None:
    """Both budgets are for the service that asked for the pause."""
    clock, store = ManualClock(), MemoryStore()
    whole = StoredRequestBudget(store, clock, BudgetLimit(name="whole", calls=5, window=MINUTE))
    own = StoredRequestBudget(store, clock, BudgetLimit(name="own", calls=2, window=MINUTE))
    share = NestedBudget(own, whole)

    await share.slow_down(MINUTE)

    for budget in (share, whole):
        with pytest.raises(ThrottledError):
            await budget.take()

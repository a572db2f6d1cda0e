"""How many calls it takes to read runs over the wire."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.contract.adapter_world import Adapters, adapters
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

DAY = timedelta(days=1)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of one run a page."""
    async with adapters(monkeypatch) as made:
        made.world.platform.assumptions.run_page = 1
        yield made


def calls(app: Adapters) -> int:
    """Return the calls for runs so far."""
    return app.world.tenant.calls.routes["flow_service.admin_list_runs"]


@pytest.mark.parametrize("limit", [1, 2])
async def test_no_call_is_made_for_runs_beyond_the_limit(app: Adapters, limit: int) -> None:
    """The last page is not followed by another one."""
    since = app.world.tenant.clock.now() - DAY

    runs = await app.flow_reports.runs(ENVIRONMENT, HTTP_FLOW, since=since, limit=limit)

    assert len(runs) == calls(app) == limit


async def test_a_page_of_runs_is_one_call(app: Adapters) -> None:
    """Wherever the list goes on."""
    now = app.world.tenant.clock.now()

    first = await app.flow_reports.run_page(ENVIRONMENT, HTTP_FLOW, since=now - DAY, until=now)
    await app.flow_reports.run_page(
        ENVIRONMENT, HTTP_FLOW, first.cursor, since=now - DAY, until=now
    )

    assert first.cursor
    assert calls(app) == 2

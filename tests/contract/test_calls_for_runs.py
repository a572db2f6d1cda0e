from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.contract.adapter_world import Adapters, run_adapters
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

DAY = timedelta(days=1)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        made.world.platform.assumptions.run_page = 1
        yield made


def count_requests_for_runs(app: Adapters) -> int:
    return app.world.tenant.calls.routes["flow_service.admin_list_runs"]


@pytest.mark.parametrize("limit", [1, 2])
async def test_no_request_is_sent_for_runs_beyond_the_limit(app: Adapters, limit: int) -> None:
    since = app.world.tenant.clock.now() - DAY

    runs = await app.flow_reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since, limit=limit)

    assert len(runs) == count_requests_for_runs(app) == limit


async def test_page_of_runs_is_read_with_one_request(app: Adapters) -> None:
    now = app.world.tenant.clock.now()

    first = await app.flow_reports.read_run_page(ENVIRONMENT, HTTP_FLOW, since=now - DAY, until=now)
    await app.flow_reports.read_run_page(
        ENVIRONMENT, HTTP_FLOW, first.cursor, since=now - DAY, until=now
    )

    assert first.cursor
    assert count_requests_for_runs(app) == 2


async def test_runs_in_progress_are_read_with_two_requests(app: Adapters) -> None:
    now = app.world.tenant.clock.now()

    await app.flow_reports.read_runs_in_progress(ENVIRONMENT, HTTP_FLOW, since=now - DAY, until=now)

    assert count_requests_for_runs(app) == 2


async def test_runs_in_progress_are_found_without_the_filter_by_status(app: Adapters) -> None:
    world, now = app.world, app.world.tenant.clock.now()
    runs = world.environment.workflows[HTTP_FLOW].runs
    oldest = min(runs, key=lambda run: run.started)
    oldest.ends = now + DAY
    rejection = {"route": "flow_service.admin_list_runs", "skip": 1, "status": 400}
    await world.control("POST", "/faults", rejection)

    found = await app.flow_reports.read_runs_in_progress(
        ENVIRONMENT, HTTP_FLOW, since=now - DAY, until=now
    )

    assert [run.run_id for run in found] == [oldest.name]
    assert count_requests_for_runs(app) == 1 + 1 + len(runs) - 1

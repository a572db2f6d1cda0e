"""Test that several processes of the app do nothing twice and share one request budget."""

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from local_cloud.demo.app_client import App
from tests.e2e.test_deployment_under_way import (
    FLOWS,
    read_control,
    start_remediation,
    wait_until_ended,
)
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT
from tests.performance.many_flows import build_site_id
from tests.performance.over_the_wire import Run, serve_cloud, sign_in_service_account

#: Requests a minute; these flows need about as many, and the tenant rejects more with 429.
BUDGET = 45
CALL_SECONDS = 0.05


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("processes", [2, 4])
async def test_processes_share_the_work_and_the_budget(processes: int, tmp_path: Path) -> None:
    """Each flow has one copy, each caller is written once, and no request is one too many."""
    run = Run(flows=FLOWS, call_seconds=CALL_SECONDS)
    async with serve_cloud(run, tmp_path) as stack, aiohttp.ClientSession() as session:
        await sign_in_service_account(stack)
        budget = {"CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE": str(BUDGET)}
        stack.options = replace(stack.options, settings={**stack.options.settings, **budget})
        names = [f"app-{number}" for number in range(processes)]
        for name in names:
            await stack.start_app(name)
        limit = {"flow_service": {"calls": BUDGET, "seconds": 60}}
        async with session.put(f"{stack.tenant.control}/budgets", json=limit) as answer:
            answer.raise_for_status()
        app = App(session, lambda: stack.app)
        progress = await wait_until_ended(app, await start_remediation(app))

        calls = await read_control(stack, session, "calls")
        environment = await read_control(stack, session, f"environments/{ENVIRONMENT}")
        sites = [
            await read_control(stack, session, f"azure/site?id={build_site_id(number)}")
            for number in range(FLOWS)
        ]
        logs = [stack.log(name).read_text() for name in names]
    assert progress["flow_states"] == {"retired": FLOWS}
    assert environment["flows"] == 2 * FLOWS
    assert [site["restarts"] for site in sites] == [1] * FLOWS
    assert calls["throttled"] == {}
    assert sum(": copied -> verified" in log for log in logs) > 1, "one process did all the work"
    assert sum(log.count(": copied -> verified") for log in logs) == FLOWS

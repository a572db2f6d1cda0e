import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from local_cloud.collector import read_spans_file
from local_cloud.demo.app_client import App
from local_cloud.stack import Stack
from tests.e2e.log_reader import LogReader
from tests.e2e.test_deployment_under_way import (
    FLOWS,
    change_tenant,
    read_tenant_state,
    start_remediation,
    wait_until_ended,
    write_app,
)
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT
from tests.performance.many_flows import build_flow_ids, build_site_id
from tests.performance.over_the_wire import Run, serve_cloud, sign_in_service_account

NAMES = ("app-0", "app-1", "app-2", "app-3")
PROCESSES = (1, 2, 4)
#: For each process: flow jobs at a time, and flows of a remediation.
AT_A_TIME, FLOWS_EACH = 4, 8
HOST = {"AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentCalls": str(AT_A_TIME)}
#: The processes mostly wait for answers, so two processors are enough for four processes.
SLOW_ANSWERS = {"route": "*", "kind": "delay", "times": None, "delay": 0.3}
FIRST, LAST = ": planned -> copying", " -> retired"
#: Of the speed of one process, times the processes; and of their mean number of calls.
LEAST_SPEED, LARGEST_DIFFERENCE = 0.75, 0.2
#: Requests in a window, which is a minute in the delivered app. The flows need more requests, and
#: the tenant rejects each one above the budget with 429.
BUDGET, WINDOW_SECONDS = 30, 4
SHORT_WINDOW = f"""
import datetime
from shared.adapters.state import request_ledger
window, kind = datetime.timedelta(seconds={WINDOW_SECONDS}), request_ledger.BudgetLimit
request_ledger.BudgetLimit = lambda **limits: kind(**limits | {{"window": window}})
"""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_processes_share_the_work(tmp_path: Path) -> None:
    flows, times = build_flow_ids(FLOWS_EACH * sum(PROCESSES)), dict[int, tuple[float, float]]()
    run = Run(flows=len(flows))
    async with serve_cloud(run, tmp_path) as stack, aiohttp.ClientSession() as session:
        await sign_in_service_account(stack)
        stack.options = replace(stack.options, settings={**stack.options.settings, **HOST})
        app, first = App(session, lambda: stack.app), 0
        logs = [LogReader(stack.locate_log(name)) for name in NAMES]
        for processes in PROCESSES:
            names, last = NAMES[:processes], first + FLOWS_EACH * processes
            for name in names[len(names) // 2 :]:
                await stack.start_app(name)
            remediation = await start_remediation(app, flows[first:last])
            while not any(FIRST in line for log in logs for line in log.read_new_lines()):
                stack.check()
                await asyncio.sleep(0.05)
            await change_tenant(stack, session, "POST", "faults", SLOW_ANSWERS)
            await wait_until_ended(app, remediation)
            await change_tenant(stack, session, "DELETE", "faults")
            for log in logs:
                log.read_new_lines()
            started, ended = (find_times(stack, names, text) for text in (FIRST, LAST))
            times[processes], first = (started[first], ended[-1]), last
        await check_nothing_was_done_twice(stack, session, len(flows))
    speeds = {one: FLOWS_EACH * one / (end - start) for one, (start, end) in times.items()}
    calls = {one: count_requests(stack, *times[one]) for one in PROCESSES}
    for processes, counts in calls.items():
        mean = counts.total() / processes
        assert set(counts) == set(NAMES[:processes])
        assert all(abs(one - mean) <= LARGEST_DIFFERENCE * mean for one in counts.values()), calls
        assert speeds[processes] >= LEAST_SPEED * processes * speeds[1], speeds


async def test_processes_share_a_budget(tmp_path: Path) -> None:
    async with (
        serve_cloud(Run(flows=FLOWS), tmp_path) as stack,
        aiohttp.ClientSession() as session,
    ):
        await sign_in_service_account(stack)
        budget = {"CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE": str(BUDGET)}
        settings = {**stack.options.settings, **budget}
        code = write_app(tmp_path / "app", SHORT_WINDOW)
        stack.options = replace(stack.options, settings=settings, app_dir=code)
        for name in NAMES:
            await stack.start_app(name)
        limit = {"flow_service": {"calls": BUDGET, "seconds": WINDOW_SECONDS}}
        await change_tenant(stack, session, "PUT", "budgets", limit)
        app = App(session, lambda: stack.app)

        await wait_until_ended(app, await start_remediation(app))

        await check_nothing_was_done_twice(stack, session, FLOWS)
        calls = await read_tenant_state(stack, session, "calls")
    sent = calls["capabilities"]
    assert sent["flow_service.read"] + sent["flow_service.write"] > BUDGET
    assert calls["throttled"] == {}


async def check_nothing_was_done_twice(
    stack: Stack, session: aiohttp.ClientSession, flows: int
) -> None:
    """Check that each flow is retired and has one copy, and that each caller was updated once."""
    environment = await read_tenant_state(stack, session, f"environments/{ENVIRONMENT}")
    sites = [
        await read_tenant_state(stack, session, f"azure/site?id={build_site_id(number)}")
        for number in range(flows)
    ]
    logs = [stack.locate_log(name).read_text() for name in NAMES]
    assert environment["flows"] == 2 * flows
    assert [site["restarts"] for site in sites] == [1] * flows
    assert sum(log.count(": copied -> verified") for log in logs) == flows
    assert sum(log.count(LAST) for log in logs) == flows


def find_times(stack: Stack, names: Sequence[str], text: str) -> list[float]:
    """Return when the processes logged a text, in seconds since 1970, sorted."""
    lines = [line for name in names for line in stack.locate_log(name).read_text().splitlines()]
    entries = [json.loads(line) for line in lines if text in line]
    return sorted(datetime.fromisoformat(one["time"]).timestamp() for one in entries)


def count_requests(stack: Stack, start: float, end: float) -> Counter[str]:
    """Return for each process the number of requests to the platform that began between two
    times.
    """
    spans = read_spans_file(stack.spans_file)
    calls = [one for one in spans if one.kind == "client" and start <= one.began <= end]
    return Counter(one.instance for one in calls)

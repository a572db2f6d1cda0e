from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, start_run
from shared.use_cases.change_environment import change_environment
from shared.use_cases.report_failed_runs import read_failed_run_report, report_failed_runs
from tests.functional.wire.wire_scenario import serve_wire_scenario
from tests.functional.wire.wire_seed import ORDERS, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT

SECRET = "canary-input-1"
RUNS = 60  # two pages of the tenant


async def test_failed_runs_of_a_day_are_counted_without_their_messages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        services, clock = scenario.services, scenario.tenant.clock
        await change_environment(services, ENVIRONMENT, {"report_failed_runs": True})
        tomorrow = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        clock.advance((tomorrow - clock.now()).total_seconds())
        for number in range(RUNS):
            clock.advance(60)
            start = Start(cause=RunStartKind.URL, by="")
            run = start_run(
                scenario.tenant, scenario.environment, scenario.find_flow(ORDERS), start
            )
            if number % 2:
                error = {"code": "ActionFailed", "message": f"Input was {SECRET}."}
                run.outcome, run.error = "Failed", error
        clock.advance(timedelta(days=1).total_seconds())
        environment = await services.environments.get(ENVIRONMENT)
        await report_failed_runs(services, environment, started_at=services.now)

        report = await read_failed_run_report(services, ENVIRONMENT)

    [flow] = report.flows
    assert (flow.failed_count, flow.error_codes) == (RUNS // 2, ("ActionFailed",))
    assert flow.last_failed_at - flow.first_failed_at >= timedelta(minutes=58)
    assert (report.unread_text, flow.has_more_runs) == ("", False)
    assert SECRET not in repr(report)

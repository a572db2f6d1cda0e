from pathlib import Path

import pytest

from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.wire.test_address_ranges_on_the_wire import DAY, HOST, build_web_app
from tests.functional.wire.test_shared_network_snapshots_on_the_wire import allow_new_addresses
from tests.functional.wire.wire_scenario import (
    SHORT,
    WireScenario,
    require_retired,
    serve_wire_scenario,
)
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import HTTP, build_definition, build_http_action


async def call_copy(scenario: WireScenario) -> Flow:
    copy = scenario.find_flow((await scenario.read_job()).copy.id)
    assert await scenario.post(scenario.get_trigger_url(copy.workflow_entity_id)) == 202
    return copy


async def run_next_daily_check(scenario: WireScenario, date: str) -> None:
    """Advance the clock by a day, run the daily check, and let the app work."""
    scenario.tenant.clock.advance(DAY)
    await run_daily_check(scenario.services, date)
    await scenario.run(SHORT)


async def test_denied_call_in_a_run_raises_an_alert_until_calls_succeed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calling = build_definition(HTTP, build_http_action(f"https://{HOST}/orders"))
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed(definition=calling))
    ) as scenario:
        await allow_new_addresses(scenario)
        await scenario.order(run=SHORT)
        proven = (await scenario.read_job()).step
        seed_azure(scenario.tenant, build_web_app("LogicApps"))
        copy = await call_copy(scenario)
        error = copy.runs[-1].actions["Call"]["error"]["message"]
        scenario.tenant.calls.reset()
        await run_next_daily_check(scenario, "day-1")
        calls = dict(scenario.tenant.calls.routes)
        [notice] = await scenario.services.tables.alerts.read_all("alert")
        await scenario.run(SHORT * 24 * 20)
        stopped = await scenario.read_job()
        await allow_new_addresses(scenario)
        await call_copy(scenario)
        await run_next_daily_check(scenario, "day-30")

        assert proven is FlowJobState.CHECKING_FOR_CALLS
        assert "target machine actively refused it" in error
        assert calls["flow_service.admin_get_run"] == 1
        assert notice.reason_code == "outbound_call_blocked"
        assert f"The call of {HOST} by 'Call' in the copy of Take orders was actively refused" in (
            notice.message
        )
        assert "orders-api denies addresses of PowerPlatformPlex" in notice.message
        assert (stopped.state, stopped.reason_code) == (
            FlowJobState.BLOCKED,
            "outbound_call_blocked",
        )
        await require_retired(scenario)

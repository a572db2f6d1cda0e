"""A firewall is closed after copies were verified, and people learn about the denied calls."""

from pathlib import Path

import pytest

from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.wire.test_kept_networks_on_the_wire import let_new_addresses_in
from tests.functional.wire.test_ranges_on_the_wire import DAY, HOST, let_in
from tests.functional.wire.wire_scenario import SHORT, WireScenario, retired, wire_scenario
from tests.functional.wire.wire_seed import orders, tenant_seed
from tests.local_cloud.tenant.tenant_world import HTTP, definition, http_action


async def copy_called(scenario: WireScenario) -> Flow:
    """Call the copy as its callers do by now, and return it."""
    copy = scenario.flow((await scenario.job()).copy_id)
    assert await scenario.post(scenario.url_of(copy.workflow_entity_id)) == 202
    return copy


async def swept(scenario: WireScenario, date: str) -> None:
    """Run a daily check a day later, and handle its messages."""
    scenario.tenant.clock.advance(DAY)
    await run_daily_check(scenario.services, date)
    await scenario.run(SHORT)


async def test_the_sentence_of_the_document_is_read_from_a_run_told_and_settled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The app opens only the run that failed, and only once."""
    calling = definition(HTTP, http_action(f"https://{HOST}/orders"))
    async with wire_scenario(
        monkeypatch, tmp_path, tenant_seed(orders(definition=calling))
    ) as scenario:
        await let_new_addresses_in(scenario)
        await scenario.order(run=SHORT)
        proven = (await scenario.job()).step
        seed_azure(scenario.tenant, let_in("LogicApps"))
        copy = await copy_called(scenario)
        error = copy.runs[-1].actions["Call"]["error"]["message"]
        scenario.tenant.calls.reset()
        await swept(scenario, "day-1")
        calls = dict(scenario.tenant.calls.routes)
        [notice] = await scenario.services.tables.alerts.all("alert")
        await scenario.run(SHORT * 24 * 20)
        stopped = await scenario.job()
        await let_new_addresses_in(scenario)
        await copy_called(scenario)
        await swept(scenario, "day-30")

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
        await retired(scenario)

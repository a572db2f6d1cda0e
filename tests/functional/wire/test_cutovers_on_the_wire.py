from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.tenant.environments.flow import SimulatedFlowState
from local_cloud.tenant.power_platform.links import start_unlink
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from tests.functional.wire.wire_scenario import serve_wire_scenario
from tests.functional.wire.wire_seed import ORDERS, build_flow_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import DAILY, build_definition


@pytest.mark.parametrize("lag", [0.0, 0.5, 3.0, 30.0, 60.0])
async def test_cutover_completes_although_reads_lag(
    lag: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daily = build_flow_seed(ORDERS, "Daily", build_definition(DAILY), heldBack=True)
    description = build_tenant_seed(daily, assumptions={"read_lag_seconds": [lag, lag]})
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        job = await scenario.read_job()
        assert job.state is FlowJobState.RETIRED, (job.message, job.history)
        assert {FlowJobState.BLOCKED, FlowJobState.FAILED}.isdisjoint(
            one.state for one in job.history
        )
        assert scenario.find_flow().state == SimulatedFlowState.STOPPED
        assert scenario.find_flow(job.copy.id).state == SimulatedFlowState.STARTED


async def test_cutover_turns_the_original_on_if_the_key_was_just_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daily = build_flow_seed(ORDERS, "Daily", build_definition(DAILY), heldBack=True)
    lag = {"read_lag_seconds": [30, 30], "link_start_seconds": 0, "link_seconds": 0}
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(daily, assumptions=lag)
    ) as scenario:
        await scenario.order(run=timedelta(0))
        while (
            ORDERS not in await scenario.read_jobs()
            or (await scenario.read_job()).both_off_since is None
        ):
            await scenario.run(timedelta(seconds=1))
        assert scenario.environment.policy is not None
        start_unlink(
            scenario.tenant,
            scenario.environment,
            scenario.environment.policy.system_id,
            "administrator",
        )

        await scenario.run(timedelta(days=1))

        job = await scenario.read_job()
        assert scenario.find_flow().state == SimulatedFlowState.STARTED
        assert scenario.find_flow(job.copy.id).state == SimulatedFlowState.STOPPED
        assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.KEY_NOT_APPLIED)

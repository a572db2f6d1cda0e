"""Self-starting flows swapped over the wire, at the shipped settings, on a tenant that lags."""

from pathlib import Path

import pytest

from local_cloud.tenant.environments.flow import FlowState
from shared.domain.jobs.flow_states import JobState
from tests.contract.tenant_world import DAILY, definition
from tests.functional.wire.wire_seed import ORDERS, flow_seed, tenant_seed
from tests.functional.wire.wire_story import wire_story


@pytest.mark.parametrize("lag", [0.0, 0.5, 3.0, 30.0, 60.0])
async def test_a_swap_ends_whatever_reads_lag_by(
    lag: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No step concludes from one read: original off, copy on, nobody asked."""
    daily = flow_seed(ORDERS, "Daily", definition(DAILY), heldBack=True)
    description = tenant_seed(daily, assumptions={"read_lag_seconds": [lag, lag]})
    async with wire_story(monkeypatch, tmp_path, description) as story:
        await story.order()

        job = await story.job()
        assert job.state is JobState.RETIRED, (job.reason, job.history)
        assert {JobState.BLOCKED, JobState.FAILED}.isdisjoint(one.state for one in job.history)
        assert story.flow().state == FlowState.STOPPED
        assert story.flow(job.copy_id).state == FlowState.STARTED

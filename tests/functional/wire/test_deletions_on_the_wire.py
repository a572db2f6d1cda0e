from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.environments.flow import SimulatedFlowState
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import DeletionInput, schedule_deletions
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, require_retired, serve_wire_scenario
from tests.functional.wire.wire_seed import OPERATOR, ORDERS, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT

DAY = timedelta(days=1)


async def delete_on_the_next_day(scenario: WireScenario) -> Deletion:
    """Retire the original and delete it on the next day. Return the row of the deletion."""
    await scenario.order(run=20 * DAY)
    await require_retired(scenario)
    approval = DeletionInput(
        delete_at=scenario.services.now + DAY, approved_by="admin@contoso.example"
    )
    await schedule_deletions(scenario.services, scenario.remediation.id, approval)
    await scenario.run(DAY + timedelta(minutes=1))
    for _ in range(3):
        await delete_originals(scenario.services)
        await scenario.run(timedelta(minutes=5))
    (row,) = await scenario.services.tables.deletions.read_all(ENVIRONMENT)
    return row


@pytest.mark.parametrize("in_solution", [True, False])
@pytest.mark.parametrize("has_row", [True, False])
async def test_deleted_original_is_archived_and_leaves_the_microsoft_key_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, in_solution: bool, has_row: bool
) -> None:
    assumptions = {"my_flows_have_rows": has_row}
    description = build_tenant_seed(
        build_orders_seed(inSolution=in_solution), assumptions=assumptions
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        url = scenario.get_trigger_url()
        original = scenario.find_flow()
        await scenario.post(url)

        row = await delete_on_the_next_day(scenario)

        assert row.state is DeletionState.DELETED, row
        assert row.is_on_microsoft_key_list is False
        assert original.state == SimulatedFlowState.DELETED
        assert await scenario.post(url) == 400
        (archive,) = await scenario.services.tables.run_archives.read_all(ENVIRONMENT)
        assert archive.runs == 1
        assert scenario.find_leaked_signatures() == []


@on_both_platforms
async def test_rollback_restores_a_deleted_flow_outside_solutions_with_its_url(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    description = build_tenant_seed(build_orders_seed(inSolution=False), profile=profile)
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        url = scenario.get_trigger_url()
        row = await delete_on_the_next_day(scenario)

        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(timedelta(days=30))

        job = await scenario.read_job()
        assert row.state is DeletionState.DELETED, row.message
        assert job.state is FlowJobState.ROLLED_BACK, (job.message, job.fix)
        assert OPERATOR not in scenario.find_flow().roles
        assert await scenario.post(url) < 300
        assert scenario.find_flow(ORDERS).state == SimulatedFlowState.STARTED


async def test_rollback_after_21_days_leaves_the_job_retired(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    description = build_tenant_seed(build_orders_seed(inSolution=False))
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await delete_on_the_next_day(scenario)
        await scenario.run(timedelta(days=22))

        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(timedelta(days=30))

        await require_retired(scenario)

from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.environments.flow import SimulatedFlowState
from shared.domain.clouds import CLOUDS, CloudName
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.assess import assess_environment
from tests.functional.wire.test_callers_on_the_wire import (
    build_tenant_with_callers,
    read_declared_places,
    read_places,
)
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT


@pytest.mark.parametrize("cloud", CloudName)
async def test_app_assesses_and_migrates_a_flow_in_each_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: CloudName
) -> None:
    """The tenant rejects hosts and tokens of other clouds."""
    seed = build_tenant_with_callers(Profile.DOCUMENTED)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed, cloud=cloud) as scenario:
        before, old_url = _read_searched_places(scenario), scenario.get_trigger_url()

        assessment = await assess_environment(scenario.services, ENVIRONMENT)
        await scenario.order(run=timedelta(days=20))

        job = await scenario.read_job()
        assert [flow.display_name for flow in assessment.flows] == ["Take orders"]
        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        assert scenario.find_flow(job.copy.id).state == SimulatedFlowState.STARTED
        assert job.copy.host == CLOUDS[cloud].derive_environment_host(ENVIRONMENT)
        after = _read_searched_places(scenario)
        assert {place for place in before if after[place] != before[place]} == {
            place for place, text in before.items() if "/invoke" in text
        }
        assert old_url not in "".join(after.values())
        assert scenario.server.refused_hosts == []


def _read_searched_places(scenario: WireScenario) -> dict[str, str]:
    """Return the content of each place that the app searches without a setting for it."""
    places = read_places(scenario)
    opt_in = read_declared_places(scenario.tenant, is_opt_in=True)
    return {place: text for place, text in places.items() if place not in opt_in}

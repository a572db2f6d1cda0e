import pytest

from shared.domain.display_names import LIMIT
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes.definition_builder import build_http_trigger
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve

#: The longest names of Dataverse (platform.md#long-names) and of flows in the flow service.
IN_DATAVERSE = ("Aanvraag naar boekhouding " * 4)[:LIMIT]
IN_FLOW_SERVICE = [("Bestelling 📦\u200f " * 20)[:255], "x" * 174, "👩‍👩‍👧" * 31]


async def run_to_retirement(scenario: Scenario) -> FlowJob:
    await plan_and_approve(scenario)
    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.RETIRED, (job.state, job.message)
    return job


def find_copy(scenario: Scenario, job: FlowJob) -> FakeFlow:
    return scenario.world.get_workflow(job.environment_id, job.copy.id)


async def test_long_name_is_shortened_for_the_suffix_and_restored() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow(IN_DATAVERSE)

    job = await run_to_retirement(scenario)

    assert original.name.endswith(" (retired, MMK)")
    assert (job.display_name, find_copy(scenario, job).name) == (IN_DATAVERSE, IN_DATAVERSE)

    await scenario.roll_back()

    assert original.name == IN_DATAVERSE
    assert find_copy(scenario, job).name.endswith(" (CMK)")


@pytest.mark.parametrize("title", IN_FLOW_SERVICE)
@pytest.mark.parametrize("in_solution", [True, False])
async def test_name_that_dataverse_rejects_is_shortened_on_the_copy(
    title: str, *, in_solution: bool
) -> None:
    scenario = Scenario()
    scenario.world.assumptions.my_flows_have_rows = False
    original = scenario.build.add_flow(title, build_http_trigger(), in_solution=in_solution)

    job = await run_to_retirement(scenario)

    name = find_copy(scenario, job).name
    assert job.display_name == title
    assert title.startswith(name.removesuffix("…"))
    assert name != title
    assert any(name in note for note in job.notes)
    assert any(f"or to {name}" in write for write in (await scenario.plan())[title].planned_changes)

    await scenario.roll_back()

    assert (await scenario.read_job(title)).state is FlowJobState.ROLLED_BACK
    assert original.name == title

from dataclasses import replace
from typing import Any, cast

from shared.domain.flow import WorkflowDraft
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import Workflows
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve


class Forgetful:
    """A Dataverse port that ignores the type of new flows, so that they become ordinary flows."""

    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflows, name)

    async def create(self, environment: Any, draft: WorkflowDraft) -> None:
        await self._workflows.create(environment, replace(draft, modern_type=None))


async def test_copy_has_the_type_of_its_original() -> None:
    """Copilot Studio bills and lists flows of agents separately."""
    scenario = Scenario()
    scenario.build.add_http_flow("Book").modern_type = 1

    await plan_and_approve(scenario)

    job = await scenario.read_job("Book")
    assert job.state is FlowJobState.RETIRED, job.message
    assert scenario.world.get_workflow(job.environment_id, job.copy.id).modern_type == 1
    assert not [note for note in job.notes if "modernflowtype" in note]


async def test_note_names_a_type_that_the_platform_did_not_store() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Book").modern_type = 1
    scenario.around = lambda ports: replace(
        ports, workflows=cast("Any", Forgetful(ports.workflows))
    )

    await plan_and_approve(scenario)

    job = await scenario.read_job("Book")
    assert job.state is FlowJobState.RETIRED, job.message
    assert [note for note in job.notes if "modernflowtype" in note]

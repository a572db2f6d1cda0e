"""Build a scenario with a flow that is shared and in a solution, for tests of its copy."""

from shared.domain.jobs.flow_job import FlowJob
from tests.fakes.tenant import FakeFlow, FakeSolution
from tests.functional.scenarios.remediation_scenario import Scenario


def find_copy(scenario: Scenario, job: FlowJob) -> FakeFlow:
    return scenario.world.get_workflow(job.environment_id, job.copy.id)


def find_solution(scenario: Scenario, unique_name: str) -> FakeSolution:
    solutions = scenario.build.environment.solutions.values()
    return next(one for one in solutions if one.unique_name == unique_name)


def build_team_scenario() -> tuple[Scenario, FakeFlow]:
    scenario = Scenario()
    flow = scenario.build.add_team_flow("Orders")
    flow.description = "What the shop sends"
    scenario.build.add_app_setting_caller(flow)
    scenario.world.traffic.beat(scenario.world)
    scenario.build.apply_key()
    return scenario, flow

"""Stories about what belongs to a flow: one that is shared and in a solution, and its copy."""

from shared.domain.jobs.flow_job import FlowJob
from tests.fakes.tenant import TwinFlow, TwinSolution
from tests.functional.scenarios.remediation_scenario import Story


def copy_of(story: Story, job: FlowJob) -> TwinFlow:
    """Return the copy that a job made."""
    return story.world.workflow(job.environment_id, job.copy_id)


def solution_named(story: Story, unique_name: str) -> TwinSolution:
    """Return a solution of the environment."""
    solutions = story.build.environment.solutions.values()
    return next(one for one in solutions if one.unique_name == unique_name)


def story_of_a_team() -> tuple[Story, TwinFlow]:
    """Return a story with one called flow that is shared and in a solution."""
    story = Story()
    flow = story.build.team_flow("Orders")
    flow.description = "What the shop sends"
    story.build.app_setting_caller(flow)
    story.world.traffic.beat(story.world)
    story.build.link()
    return story, flow

"""A discovery of a large tenant takes minutes: nobody may begin another beside it."""

import json
from datetime import timedelta
from pathlib import Path

from shared.domain.plans.remediation import EnvironmentJob, EnvironmentJobState, RemediationMode
from shared.jobs.kinds import DISCOVERY_LEASE, ENVIRONMENT
from tests.functional.stories.remediation_story import Story

HOST = Path(__file__).parents[3] / "host.json"


def test_a_discoverys_lease_outlasts_the_function() -> None:
    """When it ends, the host has ended the function that held it."""
    hours, minutes, seconds = json.loads(HOST.read_text())["functionTimeout"].split(":")

    longest = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds))
    assert longest < DISCOVERY_LEASE


async def test_only_what_writes_the_plan_holds_its_row_for_so_long() -> None:
    """A process that dies in another state is followed after the usual time."""
    story = Story()
    table = story.services.tables.environment_jobs
    leases = {}
    reading = (
        EnvironmentJobState.DISCOVERING,
        EnvironmentJobState.PLANNED,
        EnvironmentJobState.APPROVED,
    )
    for state in (*reading, EnvironmentJobState.DISPATCHED):
        job = EnvironmentJob(
            id=state,
            remediation_id="remediation",
            environment_id=story.build.environment.id,
            mode=RemediationMode.APPLY,
            state=state,
        )
        held = await ENVIRONMENT.claim(story.services, await table.insert(job))
        assert held.job.lease_until is not None
        leases[state] = held.job.lease_until - story.world.clock.now()

    assert {leases[state] for state in reading} == {DISCOVERY_LEASE}
    assert leases[EnvironmentJobState.DISPATCHED] == story.services.settings.job_lease

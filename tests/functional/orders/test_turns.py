"""A delivery for which there are no calls does nothing, and its job goes on when there are."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from shared.domain.calls import Need
from shared.domain.jobs.flow_states import JobState
from shared.errors import Waiting
from shared.ports import Clock, Environments
from shared.reason import Reason
from shared.services import Services
from tests.functional.stories.remediation_story import Story, planned
from tests.twins.calls import PlentyOfCalls
from tests.twins.ports import Ports

HOUR = timedelta(hours=1)


class Counted:
    """Counts the calls of a port."""

    def __init__(self, port: object) -> None:
        self.port = port
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        return getattr(self.port, name)


class OneTurn(PlentyOfCalls):
    """Lets nothing be begun before its time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.opens = clock.now()

    @asynccontextmanager
    async def block(self, need: Need | None) -> AsyncGenerator[None]:
        """Let in who needs nothing, and later everybody."""
        if need and need.rank > "3" and self.clock.now() < self.opens:
            raise Waiting("It is not its turn.", until=self.opens, code=Reason.THROTTLED)
        yield


async def test_a_job_whose_turn_it_is_not_makes_no_call_and_holds_no_row() -> None:
    """Its row says what it waits for and until when, and then it ends as ever."""
    story = Story()
    story.build.http_flow("Orders")
    turns = OneTurn(story.world.clock)
    make, reads = story.driver.make, Counted(story.services.environments)

    def with_turns(ports: Ports) -> Services:
        # Each delivery reads its environment first.
        return replace(make(ports), calls=turns, environments=cast("Environments", reads))

    story.driver.make = with_turns
    await planned(story)
    await story.approve(run=timedelta(0))
    turns.opens = story.services.now + HOUR
    await story.run(HOUR / 6)
    reads.calls = 0

    await story.run(HOUR / 2)

    job = await story.job("Orders")
    assert (job.state, job.code, job.due) == (JobState.WAITING, Reason.THROTTLED, turns.opens)
    assert (job.reached, job.lease_number) == (JobState.PLANNED, 0)
    assert reads.calls == 0

    await story.run(timedelta(days=30))

    assert (await story.job("Orders")).state is JobState.RETIRED
